"""What a data set is made of: a picture with its caption, or an edit pair with its instruction; as lines and back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

TextBy = Literal["", "file", "captioner", "draft", "person"]
Side = Literal["before", "after"]
METADATA = "metadata.jsonl"
SIDES: tuple[Side, Side] = ("before", "after")
_EDIT_DIGITS = 10


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One side of an edit pair: a file that came in, or one that is awaited (then `file` is empty and `name` may be known).

    `id` comes from the content as dropped, and from the edit; `name` is what it was called; `file` the training copy, whose hash
    `sha256` is; `edit` how that copy was made of the whole one (see `studio.datasets.edits`), nothing where it is the whole one;
    `mask` the file that says what of the whole one is learnt (see `studio.datasets.masks`), nothing where all of it is.
    """

    id: str = ""
    name: str = ""
    file: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0
    sha256: str = ""
    edit: str = ""
    mask: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One row of a data set: a picture with its caption, or an edit pair with its instruction.

    `id` of a picture comes from the content of the file as it was dropped; `name` is what it was called then; `file` is the
    training copy, relative to the data set's folder; `bytes` the size as dropped; `sha256` that of the training copy; `edit` and
    `mask` are those of the file (see `ImageFile`); `version` grows with every change of `text`. `excluded` rows are kept and shown,
    and nothing is trained on them. `judges`: a person chose it to judge a run. `place` is where it stands in the table, which it
    keeps for ever (0: not in it yet).

    A pair (see `make_pair`) has both sides; what a model should make, the picture after, stands in the common fields too.
    """

    id: str
    name: str
    file: str
    width: int
    height: int
    bytes: int
    text: str
    text_by: TextBy
    version: int
    sha256: str = ""
    before: ImageFile | None = None
    after: ImageFile | None = None
    edit: str = ""
    excluded: bool = False
    mask: str = ""
    judges: bool = False
    place: int = field(default=0, compare=False)

    @property
    def missing(self) -> Literal["", "before", "after", "both"]:
        """Which side of a pair is still awaited; a picture misses nothing."""
        if self.before is None or self.after is None:
            return ""
        if not self.before.file:
            return "before" if self.after.file else "both"
        return "" if self.after.file else "after"

    @property
    def images(self) -> tuple[ImageFile, ...]:
        """The files that are there: one of a picture; before and after of a pair, as far as they have come."""
        if self.before is None or self.after is None:
            size = (self.width, self.height, self.bytes)
            return (ImageFile(self.face, self.name, self.file, *size, self.sha256, self.edit, self.mask),)
        return tuple(image for image in (self.before, self.after) if image.file)

    @property
    def face(self) -> str:
        """The id of the file that stands for the row where there is room for one: after, else before."""
        if self.before is None or self.after is None:
            return edited_id(self.id, self.edit) if self.edit else self.id
        return self.after.id or self.before.id

    @property
    def content(self) -> str:
        """The same for the same files with the same edit, in this data set and in every other one: over both pictures of a pair."""
        if self.before is None or self.after is None:
            return self.face
        return pair_content(self.before.id, self.after.id)


def pair_content(before_id: str, after_id: str) -> str:
    """`Picture.content` of a pair with these two files."""
    return hashlib.sha256(f"{before_id}>{after_id}".encode()).hexdigest()[:24]


def make_pair(row_id: str, name: str, before: ImageFile, after: ImageFile, words: tuple[str, TextBy, int] = ("", "", 1)) -> Picture:
    """A row with two sides; `words` are text, who wrote it, and version."""
    main = after if after.file else before
    size = before.bytes + after.bytes
    return Picture(row_id, name, after.file, main.width, main.height, size, *words, sha256=after.sha256, before=before, after=after)


def edited_id(image_id: str, edit: str) -> str:
    """The id of a file as it is after this edit: what an address or a cache is called by changes when the picture does."""
    whole = whole_id(image_id)
    return f"{whole}-{hashlib.sha256(edit.encode()).hexdigest()[:_EDIT_DIGITS]}" if edit else whole


def whole_id(image_id: str) -> str:
    """The id of the file as it was dropped, whatever was done to it since."""
    return image_id.partition("-")[0]


def with_sides(row: Picture, before: ImageFile, after: ImageFile) -> Picture:
    """The same pair with other pictures."""
    changed = make_pair(row.id, row.name, before, after, (row.text, row.text_by, row.version))
    return replace(changed, excluded=row.excluded, judges=row.judges)


def with_images(row: Picture, images: Sequence[ImageFile]) -> Picture:
    """The same row with other files: one of a picture, before and after of a pair."""
    if row.before is not None and row.after is not None:
        return with_sides(row, *images)
    (one,) = images
    return replace(row, file=one.file, width=one.width, height=one.height, sha256=one.sha256, edit=one.edit, mask=one.mask)


def with_measured(row: Picture, measured: dict[str, ImageFile]) -> Picture:
    """The row with hash and size of its files as they are now; `measured` has those that were changed outside, by their id."""
    if row.before is not None and row.after is not None:
        return with_sides(row, *(_measured(image, measured.get(image.id)) for image in (row.before, row.after)))
    now = measured.get(row.face)
    return replace(row, sha256=now.sha256, width=now.width, height=now.height) if now else row


def _measured(image: ImageFile, now: ImageFile | None) -> ImageFile:
    return replace(image, sha256=now.sha256, width=now.width, height=now.height) if now and image.file else image


def identify(row: Picture) -> bytes:
    """What tells the row apart from one with other pictures, words or part in training: for a hash over all rows."""
    contents = "+".join(image.sha256 for image in row.images)
    draft = "\0draft" if row.text_by == "draft" else ""  # the check says that it wants to be read
    left_out = "\0excluded" if row.excluded else ""
    mask = f"\0mask {row.mask}" if row.mask else ""
    judges = "\0judges" if row.judges else ""
    return f"\0{row.content}\0{contents}\0{row.text}{draft}{left_out}{mask}{judges}".encode("utf-8", "replace")


def to_plain(row: Picture) -> dict[str, Any]:
    """The row as it stands in metadata.jsonl.

    Its first keys are those that other programs read: `file_name` and `text` of a picture (any imagefolder reader),
    `input_image`, `instruction` and `output_image` of an edit pair.
    """
    values = _values(row)
    file, text = values.pop("file"), values.pop("text")
    del values["before"], values["after"], values["place"]
    _drop_usual(values)
    if row.before is None or row.after is None:
        return {"file_name": file, "text": text} | values
    before, after = (_drop_usual(_values(image)) for image in (row.before, row.after))
    standard = {"input_image": before.pop("file") or None, "instruction": text, "output_image": after.pop("file") or None}
    own = {key: values[key] for key in ("id", "name", "text_by", "version", "excluded", "judges") if key in values}
    return standard | own | {"before": before, "after": after}


def _values(row: Picture | ImageFile) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _drop_usual(values: dict[str, Any]) -> dict[str, Any]:
    """Without what only a few rows have and this one has not."""
    for key in ("edit", "excluded", "mask", "judges"):
        if not values.get(key, True):
            del values[key]
    return values


def from_plain(values: dict[str, Any]) -> Picture:
    """The row of a line of metadata.jsonl.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: When it is none.
    """
    text_by: TextBy = values["text_by"] if values.get("text_by") in get_args(TextBy) else ""
    version = int(values.get("version", 1))
    if "input_image" in values:
        before, after = _side(values, "before", "input_image"), _side(values, "after", "output_image")
        words = (str(values.get("instruction") or ""), text_by, version)
        pair = make_pair(str(values["id"]), str(values.get("name", "")), before, after, words)
        return replace(pair, excluded=bool(values.get("excluded")), judges=bool(values.get("judges")))
    file = _checked_file(values["file_name"])
    return Picture(
        id=str(values["id"]),
        name=str(values.get("name", file)),
        file=file,
        width=int(values["width"]),
        height=int(values["height"]),
        bytes=int(values.get("bytes", 0)),
        text=str(values.get("text") or ""),
        text_by=text_by,
        version=version,
        sha256=str(values.get("sha256", "")),
        edit=str(values.get("edit", "")),
        excluded=bool(values.get("excluded")),
        mask=_checked_file(values.get("mask", "")),
        judges=bool(values.get("judges")),
    )


def _side(values: dict[str, Any], side: Side, key: str) -> ImageFile:
    own, file = values[side], _checked_file(values.get(key) or "")
    width, height, size = (int(own.get(name, 0)) for name in ("width", "height", "bytes"))
    sha256, edit = str(own.get("sha256", "")), str(own.get("edit", ""))
    return ImageFile(str(own["id"]), str(own.get("name", file)), file, width, height, size, sha256, edit)


def _checked_file(value: Any) -> str:
    file = str(value)
    if file.startswith("/") or ".." in file.split("/"):
        raise ValueError("file_name leaves the data set's folder")
    return file
