"""Edits of pictures of a data set, and who is left out of training: each a step that can be undone. No file that came in is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets import thumbnails
from studio.datasets.crew import work_through
from studio.datasets.edits import Edit, checked_edit, name_copy, whole_of
from studio.datasets.measure import Measures, measure_picture
from studio.datasets.measure_cache import write_measures
from studio.datasets.pictures import encode_png
from studio.datasets.rows import ImageFile, Picture, with_images
from studio.datasets.store import DatasetStore, explain_disk, found_picture

Progress = Callable[[int, int], None]
_PROCESSES_FROM = 24  # edits; each decodes and writes a PNG, so that a process pays sooner than for a look


@dataclass(frozen=True, slots=True)
class Made:
    """The file that one edit made, with its measures; or why it could not be made."""

    image: ImageFile
    measures: Measures | None = None
    refusal: str = ""


def edit_pictures(store: DatasetStore, dataset_id: str, edits: Mapping[str, Edit], progress: Progress | None = None) -> str:
    """Gives each of these rows the edit that is asked for, in place of any former one; both sides of a pair alike. The token undoes it.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        edits: Row id -> edit of the whole picture; an empty one gives it back whole.
        progress: Is told how many of how many files are made; what it raises ends the work, and nothing has changed.

    Raises:
        DarkroomError: When a row is gone, is half a pair, or a file cannot be read or written. Nothing has changed then.
    """
    folder, index = store.workspace.dataset(dataset_id), store.index(dataset_id)
    rows = [found_picture(index.get(row_id), row_id) for row_id in edits]
    asked = {(image.id, edits[row.id]): image for row in rows for image in _whole_images(row, edits[row.id])}
    made = _make_all(store, folder, asked, progress)
    with index.change() as changes:
        found = [found_picture(changes.get(row.id), row.id) for row in rows]
        moved = next((now for now, seen in zip(found, rows, strict=True) if _files(now) != _files(seen)), None)
        if moved is not None:
            raise DarkroomError(f"“{moved.name}” was changed elsewhere meanwhile. Look at it, then edit it again.")
        token = store.remember(dataset_id, "edit", changes, found)
        for row in found:
            changes.put(with_images(row, [_named(made[whole_of(i).id, edits[row.id]], i) for i in row.images]))
    return token


def exclude_pictures(store: DatasetStore, dataset_id: str, row_ids: Collection[str], *, excluded: bool) -> str:
    """Leaves rows out of training, or takes them in again; they stay in the data set. The token undoes it."""
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as changes:
        found = [found_picture(changes.get(row_id), row_id) for row_id in dict.fromkeys(row_ids)]
        touched = [row for row in found if row.excluded != excluded]
        token = store.remember(dataset_id, "exclude", changes, touched)
        for row in touched:
            changes.put(replace(row, excluded=excluded), files=False)
    return token


def _files(row: Picture) -> list[str]:
    return [image.file for image in row.images]


def _whole_images(row: Picture, edit: Edit) -> list[ImageFile]:
    """The whole pictures of a row, of which the edit can be made."""
    if row.missing:
        raise DarkroomError(f"“{row.name}” still waits for its picture {row.missing}. Both sides of a pair are edited alike: add it first.")
    whole = [whole_of(image) for image in row.images]
    sizes = {(image.width, image.height) for image in whole}
    if len(sizes) > 1:
        said = " and ".join(f"{width:,} x {height:,} px" for width, height in sorted(sizes))
        raise DarkroomError(
            f"The pictures of “{row.name}” have two sizes, {said}, so that one cut does not fit both. Add them again alike."
        )
    for size in sizes:
        checked_edit(edit.crop, edit.turns, mirrored=edit.mirrored, size=size)
    return whole


def _named(image: ImageFile, like: ImageFile) -> ImageFile:
    """The file under the name and with the number of bytes that this row knows it by: one content may have come twice."""
    return replace(image, name=like.name, bytes=like.bytes, mask=like.mask)


def _make_all(
    store: DatasetStore, folder: Path, asked: Mapping[tuple[str, Edit], ImageFile], progress: Progress | None
) -> dict[tuple[str, Edit], ImageFile]:
    work = [(image, edit) for (_, edit), image in asked.items()]
    results = work_through(partial(make_copy, folder, store.workspace.cache), work, len(work), _say_crashed, many=_PROCESSES_FROM)
    made: dict[tuple[str, Edit], ImageFile] = {}
    measured: dict[str, Measures] = {}
    try:
        for key, one in zip(asked, results, strict=True):
            if one.refusal:
                raise DarkroomError(one.refusal)
            made[key] = one.image
            measured |= {one.image.sha256: one.measures} if one.measures else {}
            if progress:
                progress(len(made), len(work))
    finally:
        results.close()
    try:
        files.sync_folder(folder / "images")
    except OSError as error:
        raise explain_disk(error) from None
    write_measures(store.workspace.cache, measured)
    return made


def make_copy(folder: Path, cache: Path, asked: tuple[ImageFile, Edit]) -> Made:
    """Writes the training copy that an edit makes of a whole picture, its thumbnail and its measures."""
    whole, edit = asked
    if edit == Edit():
        return Made(whole)
    try:
        with Image.open(folder / whole.file, formats=["PNG"]) as opened:
            picture = edit.apply(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return Made(whole, refusal=f"The file of “{whole.name}” is gone or damaged. Remove the picture and add it again.")
    data = encode_png(picture)
    copy = replace(name_copy(whole, edit), width=picture.width, height=picture.height, sha256=hashlib.sha256(data).hexdigest())
    try:
        files.write_bytes(folder / copy.file, data, sync_parent=False)
        if max(picture.size) > max(thumbnails.SIZES):
            thumbnails.write_thumbnail(cache, picture, copy.sha256, max(thumbnails.SIZES))
    except OSError as error:
        return Made(whole, refusal=explain_disk(error).text)
    return Made(copy, measure_picture(picture))


def _say_crashed(asked: tuple[ImageFile, Edit]) -> Made:
    return Made(asked[0], refusal=f"The file of “{asked[0].name}” brought the decoder down: it is damaged. Remove it, or add it again.")
