"""How a WebDataset shard names its members: the same for the trainer, which reads shards in place, and the studio, which takes them in."""

from __future__ import annotations

from pathlib import Path

BEFORE_WORDS = ("before", "input", "source", "original")
AFTER_WORDS = ("after", "output", "target", "edited")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MASK_WORDS = ("mask", "masklabel")
"""`0001.mask.png` says what of `0001.png` is learnt: white is, black is not."""
TEXT_SUFFIXES = (".txt", ".caption")
WORD_KEYS = ("text", "caption", "prompt", "instruction", "edit_prompt")
"""Under which name the words of a sample stand in its JSON member; the first one that is there counts."""


def split_name(name: str) -> tuple[str, str]:
    """(key, rest): all members with one key are one sample. The key ends at the first dot of the name's last part (WebDataset's rule)."""
    folder, _, file = name.rpartition("/")
    stem, _, rest = file.partition(".")
    return f"{folder}/{stem}" if folder else stem, rest.lower()


def is_mask(rest: str) -> bool:
    """Whether a member with this rest of its name is a mask, and no picture of its own."""
    stem, _, suffix = rest.rpartition(".")
    return f".{suffix}" in PICTURE_SUFFIXES and stem.rpartition(".")[2] in MASK_WORDS


def find_shards(folder: str | Path | None) -> list[Path]:
    """The shards that lie in a folder, in the order of their names; none where there is no tar, or no folder."""
    return sorted(Path(folder).expanduser().glob("*.tar")) if folder else []
