"""CLIP's tokenizer, built from the one file that its vocabulary is shipped in: no single-file checkpoint carries one."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

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
    alphabet = list_bytes()
    pieces = [*alphabet, *(byte + END_OF_WORD for byte in alphabet), *(a + b for a, b in merges), START, END]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def list_bytes() -> list[str]:
    """The letters that stand for the 256 bytes, in the order of CLIP: those that print, then the others."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    return [*sorted(c for c in letters if ord(c) < 256), *sorted(c for c in letters if ord(c) >= 256)]


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer that a folder's tokenizer_config.json describes, with CLIP's own vocabulary."""
    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("tokenizer_class", None)
    vocabulary, merges = read_vocabulary()
    return CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges), **settings)
