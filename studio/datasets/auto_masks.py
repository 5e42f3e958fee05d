"""Masks of many pictures, made without a hand; who made a mask stands in its name, so that a person can look through those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from backends.contract.errors import DarkroomError
from backends.contract.pictures import open_picture
from studio.datasets.crew import work_through
from studio.datasets.cut_out import LEAST, AutoMask, make_auto_mask
from studio.datasets.edits import Box, edit_of, whole_of
from studio.datasets.faces import find_faces, read_faces, write_faces
from studio.datasets.index import PictureIndex
from studio.datasets.masks import AUTO, is_auto, name_masks, write_mask
from studio.datasets.opencv import load_opencv
from studio.datasets.rows import ImageFile, Picture
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

_PART = 240
_PROCESSES_FROM = 8  # pictures; one takes half a second or more


@dataclass
class Masked:
    """What came of it: the token that undoes it (empty where there is none), how many masks, how many a person's stayed, who has none."""

    token: str = ""
    count: int = 0
    by_hand: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Made:
    mask: str = ""
    faces: list[Box] | None = None
    refusal: str = ""


def make_masks(
    store: DatasetStore, dataset_id: str, rows: Iterable[Picture], count: int, *, over: bool = False, watch: Watch | None = None
) -> Masked:
    """Gives pictures masks of their subjects, as one step that can be undone. Who cannot have one is left without and named.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        rows: Single pictures.
        count: About how many they are.
        over: Masks that a person made give way too; without it they stay.
        watch: Is told how far it is; where it wants the end, nothing has changed.

    Raises:
        DarkroomError: When OpenCV is not installed, one is an edit pair, or the disk is full. Nothing has changed then.
    """
    load_opencv()
    watch, result = watch or Watch(), Masked()
    folder, cache, many = store.workspace.dataset(dataset_id), store.workspace.cache, iter(rows)
    names: dict[str, str] = {}
    before: dict[str, str] = {}
    watch.begin("Masking", count)
    while part := list(islice(many, _PART)):
        _refuse_pairs(part)
        kept = [row for row in part if row.mask and not is_auto(row.mask) and not over]
        result.by_hand += len(kept)
        watch.step(len(kept))
        free = [row for row in part if not row.mask or is_auto(row.mask) or over]
        known = read_faces(cache, [whole_of(row.images[0]).sha256 for row in free])
        asked = [(row.images[0], known.get(whole_of(row.images[0]).sha256)) for row in free]
        least = 1 if count >= _PROCESSES_FROM else _PROCESSES_FROM
        made = work_through(partial(_make_mask, folder), asked, len(asked), _say_crashed, many=least)
        fresh: dict[str, list[Box]] = {}
        try:
            for row, one in zip(free, made, strict=True):
                watch.require_going()
                watch.step()
                if one.faces is not None:
                    fresh[whole_of(row.images[0]).sha256] = one.faces
                if one.mask:
                    names[row.id], before[row.id] = one.mask, row.mask
                else:
                    result.left.append((row.name, one.refusal))
        finally:
            made.close()
            write_faces(cache, {content: faces for content, faces in fresh.items() if content and content not in known})
    if names:
        result.token, result.count = name_masks(store, dataset_id, names, before)
    return result


def make_one(folder: Path, cache: Path, row: Picture) -> tuple[AutoMask, int]:
    """The mask of one picture, which nobody has kept yet, and around how many faces it was made.

    Raises:
        DarkroomError: When OpenCV is not installed, or the file is gone.
    """
    _refuse_pairs([row])
    whole = whole_of(row.images[0])
    picture = open_picture(folder / whole.file)
    faces = read_faces(cache, [whole.sha256]).get(whole.sha256)
    if faces is None:
        faces = find_faces(picture)
        write_faces(cache, {whole.sha256: faces} if whole.sha256 else {})
    return make_auto_mask(picture, faces), len(faces)


def keep_masks(store: DatasetStore, dataset_id: str, rows: Iterable[Picture]) -> tuple[str, int]:
    """A person has looked at these automatic masks and finds them right: they are the person's now. The token undoes it.

    Raises:
        DarkroomError: When the disk is full. Nothing has changed then.
    """
    folder = store.workspace.dataset(dataset_id)
    found = [row for row in rows if row.mask and is_auto(row.mask)]
    names = {row.id: write_mask(folder, row, (folder / row.mask).read_bytes()) for row in found if (folder / row.mask).is_file()}
    return name_masks(store, dataset_id, names, {row.id: row.mask for row in found}) if names else ("", 0)


def drop_masks(store: DatasetStore, dataset_id: str, rows: Iterable[Picture]) -> tuple[str, int]:
    """Takes automatic masks away again; those that a person made stay. The token undoes it."""
    found = {row.id: row.mask for row in rows if row.mask and is_auto(row.mask)}
    return name_masks(store, dataset_id, dict.fromkeys(found, ""), found) if found else ("", 0)


def count_masks(index: PictureIndex) -> tuple[int, int, int]:
    """How many single pictures there are; of how many a person made the mask; of how many nobody has looked at it."""
    with index.read() as table:
        sql = "SELECT count(*), total(mask <> ''), total(mask LIKE ?) FROM images WHERE side = ''"
        count, masked, auto = map(int, table.execute(sql, (f"%{AUTO}.png",)).fetchone())
    return count, masked - auto, auto


def find_auto(index: PictureIndex) -> list[int]:
    """Where the pictures stand whose masks nobody has looked at yet, in their order."""
    with index.read() as table:
        sql = "SELECT place FROM images WHERE side = '' AND mask LIKE ? ORDER BY place"
        return [place for (place,) in table.execute(sql, (f"%{AUTO}.png",))]


def _refuse_pairs(rows: Iterable[Picture]) -> None:
    pair = next((row for row in rows if row.before is not None), None)
    if pair is not None:
        raise DarkroomError(f"“{pair.name}” is an edit pair. Masks belong to single pictures: a pair is learnt whole, at every place.")


def _make_mask(folder: Path, asked: tuple[ImageFile, list[Box] | None]) -> _Made:
    image, faces = asked
    whole = whole_of(image)
    try:
        picture = open_picture(folder / whole.file)
        faces = find_faces(picture) if faces is None else faces
        made = make_auto_mask(picture, faces)
        if made.mask is None:
            return _Made(faces=faces, refusal=made.refusal)
        shown = float(np.asarray(edit_of(image).apply(made.mask)).mean()) / 255
        if shown < LEAST:
            return _Made(faces=faces, refusal=f"The mask would cover {shown:.1%} of the picture as it is cut, nearly nothing.")
        return _Made(write_mask(folder, whole, made.mask, auto=True), faces)
    except DarkroomError as error:
        return _Made(faces=faces, refusal=error.text)


def _say_crashed(asked: tuple[ImageFile, list[Box] | None]) -> _Made:
    return _Made(refusal="Its file brought the decoder down: it is damaged. Remove the picture, or add it again.")
