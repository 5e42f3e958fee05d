"""Names of files and rows: when two count as the same, and one that is still free."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"}


def fold_name(name: str) -> str:
    """Equal for names that a person takes for the same: in any case of letters, however their accents are stored."""
    return unicodedata.normalize("NFC", name).casefold()


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, or `name (2)` where another has it; `taken` holds folded names."""
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    candidate, count = name, 1
    while fold_name(candidate) in taken:
        count += 1
        candidate = f"{stem} ({count}){suffix}"
    return candidate
