"""Measures of pictures, kept under the content they were taken from; what is lost is measured again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from studio.datasets.content_cache import ContentCache
from studio.datasets.measure import Measures

VERSION = 6  # of what is measured; another version's file is left alone
_CACHE = ContentCache("measures", VERSION)


def read_measures(cache: Path, contents: Collection[str]) -> dict[str, Measures]:
    """Measures by content (sha256 of the training copy), of those that are known."""
    return {content: Measures.from_bytes(value) for content, value in _CACHE.read(cache, contents)}


def write_measures(cache: Path, measured: Mapping[str, Measures]) -> None:
    """Keeps measures. Where that cannot be, a check measures again: nothing else depends on it."""
    _CACHE.write(cache, {content: measures.to_bytes() for content, measures in measured.items()})
