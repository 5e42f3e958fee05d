"""CLIP's vocabulary out of the one file that it is shipped in. Torch-free."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "assets" / "configs"
MERGES = CONFIGS / "clip_merges.txt.gz"
START, END, END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"


@cache
def read_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Piece -> number, and the pairs that are joined, in their order.

    The numbers follow from the pairs: first the 256 bytes, then the same at a word's end, then each joined pair.
    """
    lines = gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = [(first, second) for first, second in (line.split(" ") for line in lines)]
    letters = list_letters()
    pieces = [*letters, *(letter + END_OF_WORD for letter in letters), *(a + b for a, b in merges), START, END]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def list_letters() -> list[str]:
    """The letters that stand for the 256 bytes, in the order of CLIP: those that print as themselves, then stand-ins for the others."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, printed), *(chr(256 + number) for number in range(256 - len(printed)))]
