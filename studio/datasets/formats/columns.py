"""Which columns of a table hold pictures and words: found by kind and name, or chosen by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backends.contract.errors import DarkroomError
from backends.contract.judging import HELD_OUT
from studio.datasets.pair_names import COLUMNS as PAIR_COLUMNS

Kind = Literal["picture", "words", "mark", "other"]
_WORDS = ("text", "caption", "prompt", "edit_prompt", "instruction", "edit", "description", "captions", "sentence", "label")
_BEFORE = ("input_image", "original_image", "input", "before", "source", "source_image", "image_before")
_AFTER = ("output_image", "edited_image", "output", "after", "target", "target_image", "edit_image", "image_after")
# What the trainers of diffusers read by themselves.
PICTURE_COLUMNS = ("image", "text")
EDIT_COLUMNS = ("original_image", "edit_prompt", "edited_image")
MASK = "mask"
_MASKS = (MASK, "masks", "mask_image", "image_mask", "loss_mask", "mask_file_name")


@dataclass(frozen=True)
class Columns:
    """`pictures`: one column, or before and after; `words` and `mask`: the columns with captions or instructions, and of masks.

    `held_out` is the column that says who judges, which is known by its name alone. They are empty where there is none.
    """

    pictures: tuple[str, ...]
    words: str = ""
    mask: str = ""
    held_out: str = ""

    def as_said(self) -> dict[str, Any]:
        """What a person may choose of them, as `ingest_table` takes it."""
        return {"pictures": self.pictures, "words": self.words, "mask": self.mask}

    @property
    def are_pairs(self) -> bool:
        """Whether each row is an edit pair."""
        return len(self.pictures) == 2


def choose_columns(kinds: Mapping[str, Kind], wanted: Sequence[str] = (), words: str | None = None, mask: str | None = None) -> Columns:
    """The columns to read.

    Args:
        kinds: What each column of the table holds.
        wanted: Columns of pictures that a person chose: one, or before and after. Without, they are found.
        words: The column of captions or instructions that a person chose; empty for none, None to find it.
        mask: The column of masks that a person chose; empty for none, None to find it.

    Raises:
        DarkroomError: When a chosen column is not there or holds something else, or none can be found; says what there is.
    """
    pictures = tuple(wanted) or _find_pictures(kinds)
    for name in pictures:
        _require(kinds, name, "picture", "pictures")
    if not 1 <= len(pictures) <= 2 or len(set(pictures)) < len(pictures):
        raise DarkroomError(
            f"{len(pictures)} columns of pictures were chosen; one is read, or two: before and after. There is: {_list(kinds)}."
        )
    if words:
        _require(kinds, words, "words", "words")
    if mask:
        _require(kinds, mask, "picture", "pictures")
        if len(pictures) == 2 or mask in pictures:
            raise DarkroomError("A mask needs one other column of pictures beside it: that of the pictures. Edit pairs know no masks.")
    said = _find_words(kinds, pictures) if words is None else words
    return Columns(pictures, said, _find_mask(kinds, pictures) if mask is None else mask, HELD_OUT if kinds.get(HELD_OUT) == "mark" else "")


def _find_mask(kinds: Mapping[str, Kind], pictures: tuple[str, ...]) -> str:
    """Only by its name: a second column of pictures may be anything."""
    if len(pictures) != 1:
        return ""
    return next((name for name in _MASKS if kinds.get(name) == "picture" and name not in pictures), "")


def _find_pictures(kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    there = [name for name, kind in kinds.items() if kind == "picture"]
    there = [name for name in there if name not in _MASKS] or there
    if not there:
        raise DarkroomError(f"No column holds pictures. There is: {_list(kinds)}.")
    for before, _, after in PAIR_COLUMNS:
        if before in there and after in there:
            return before, after
    before, after = (next((name for name in known if name in there), "") for known in (_BEFORE, _AFTER))
    if before and after:
        return before, after
    if len(there) == 1 or "image" in there:
        return (there[0] if len(there) == 1 else "image",)
    raise DarkroomError(f"Several columns hold pictures ({', '.join(there)}). Say which one, or which two: before and after.")


def _find_words(kinds: Mapping[str, Kind], pictures: tuple[str, ...]) -> str:
    there = [name for name, kind in kinds.items() if kind == "words"]
    for before, said, after in PAIR_COLUMNS:
        if pictures == (before, after) and said in there:
            return said
    return next((name for name in _WORDS if name in there), there[0] if len(there) == 1 else "")


def _require(kinds: Mapping[str, Kind], name: str, kind: Kind, what: str) -> None:
    if kinds.get(name) != kind:
        problem = "There is no column" if name not in kinds else f"There are no {what} in the column"
        raise DarkroomError(f"{problem} “{name}”. There is: {_list(kinds)}.")


def _list(kinds: Mapping[str, Kind]) -> str:
    says = {"picture": "pictures", "words": "words", "mark": "who judges", "other": "something else"}
    return ", ".join(f"{name} ({says[kind]})" for name, kind in kinds.items()) or "no column at all"
