"""How many tokens a caption has for a base model, and how many the model reads. Needs no torch."""

from __future__ import annotations

import json
import math
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from backends.contract import files
from backends.contract.base_models import find_base_model, parse_source, resolve_source
from backends.contract.clip_vocabulary import read_vocabulary
from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file

CLIP_POSITIONS = 77
CLIP_FAMILIES = ("sd15", "sdxl", "sdxl-refiner")  # all of them read the vocabulary that is shipped
_SPECIAL = 2  # the start and the end that every text encoder of this kind adds
# Rough pieces of a caption for the estimate: CLIP's vocabulary knows most short words whole.
_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]")
_LETTERS_A_TOKEN = 8
_guard = threading.Lock()


@dataclass(frozen=True)
class Counter:
    """Counts tokens for one base model: exactly with its `tokenizer`, else as an estimate. `limit` is without start and end."""

    limit: int
    tokenizer: Tokenizer | None

    @property
    def exact(self) -> bool:
        """Whether the model's own tokenizer counts."""
        return self.tokenizer is not None

    def count(self, text: str) -> int:
        """Tokens of `text`, without start and end."""
        if self.tokenizer is not None:
            return len(self.tokenizer.encode(text, add_special_tokens=False).ids)
        return sum(math.ceil(len(piece) / _LETTERS_A_TOKEN) for piece in _PIECE.findall(text.lower()))

    def may_exceed(self, text: str) -> bool:
        """Whether `text` may have more tokens than the model reads: quick, for a token is a letter or the beginning of a word at least."""
        return not text.isascii() or len(text) + text.count(" ") + 1 > self.limit


def count_tokens(base_model: str, text: str) -> int:
    """Tokens of `text` for this base model, without start and end; see `is_exact`."""
    return load_counter(base_model).count(text)


def token_limit(base_model: str) -> int:
    """Tokens that this base model reads of a caption, without start and end: 75 for CLIP."""
    return load_counter(base_model).limit


def is_exact(base_model: str) -> bool:
    """False while the base model's tokenizer is not on this machine, so that counts are estimates."""
    return load_counter(base_model).exact


def load_counter(base_model: str) -> Counter:
    """The counter of a base model (key, folder or hub name); kept once its tokenizer was found."""
    with _guard:
        found = _find_files(base_model)
        if found:
            return _build_counter(*found)
        limit = _assumed_limit(base_model)
        return Counter(limit, _build_shipped_tokenizer() if _find_family(base_model) in CLIP_FAMILIES else None)


def _assumed_limit(base_model: str) -> int:
    return (512 if _find_family(base_model) == "flux" else CLIP_POSITIONS) - _SPECIAL


def _find_family(base_model: str) -> str:
    """The family of a known base model, or of one file; an empty text where only the hub could tell."""
    known = find_base_model(base_model)
    if known:
        return known.family
    try:
        source = parse_source(base_model)
        return _read_family(source.path) if source.kind == "file" else ""
    except DarkroomError:
        return ""


@lru_cache(maxsize=8)
def _read_family(path: Path) -> str:
    return read_model_file(path).family


@lru_cache(maxsize=1)
def _build_shipped_tokenizer() -> Tokenizer:
    """CLIP's own, which is here even where the model is not."""
    vocabulary, merges = read_vocabulary()
    return _build_clip_tokenizer(vocabulary, [" ".join(pair) for pair in merges])


def _find_files(base_model: str) -> tuple[Path, Path] | None:
    """The first tokenizer's folder and the first text encoder's config, where both are on this machine."""
    try:
        source = resolve_source(base_model)
    except DarkroomError:
        return None
    if Path(source).is_absolute():
        folder, config = Path(source) / "tokenizer", Path(source) / "text_encoder" / "config.json"
        return (folder, config) if (folder / "tokenizer.json").is_file() or (folder / "vocab.json").is_file() else None
    for name in ("tokenizer.json", "vocab.json"):
        path = try_to_load_from_cache(source, f"tokenizer/{name}")
        if isinstance(path, str):
            return Path(path).parent, Path(path).parents[1] / "text_encoder" / "config.json"
    return None


@lru_cache(maxsize=8)
def _build_counter(folder: Path, config: Path) -> Counter:
    positions = int((files.read_json(config) or {}).get("max_position_embeddings") or 0)
    if not positions:
        positions = int((files.read_json(folder / "tokenizer_config.json") or {}).get("model_max_length") or CLIP_POSITIONS)
    try:
        tokenizer = _read_tokenizer(folder)
    except Exception:  # noqa: BLE001 - the library raises bare Exception for a damaged file; an estimate is better than no page
        return Counter(min(positions, 512) - _SPECIAL, None)
    return Counter(min(positions, 512) - _SPECIAL, tokenizer)


def _read_tokenizer(folder: Path) -> Tokenizer:
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    return _build_clip_tokenizer(
        json.loads((folder / "vocab.json").read_text("utf-8")), (folder / "merges.txt").read_text("utf-8").splitlines()
    )


def _build_clip_tokenizer(vocab: dict[str, int], merges: list[str]) -> Tokenizer:
    """CLIP's byte-pair tokenizer from its two older files (SDXL's repository has only these)."""
    pairs: list[Any] = [tuple(line.split()) for line in merges if line and not line.startswith("#version")]
    tokenizer = Tokenizer(models.BPE(vocab, pairs, unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]  # type: ignore[list-item]
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer
