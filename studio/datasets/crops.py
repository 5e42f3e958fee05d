"""Many pictures cut to one shape, each around its own subject: the same for a page and a command."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from backends.contract.buckets import Bucket, choose_bucket
from backends.contract.errors import DarkroomError
from backends.contract.pictures import open_picture
from studio.datasets.buckets import list_buckets
from studio.datasets.checks import Target
from studio.datasets.crew import work_through
from studio.datasets.edit_pictures import edit_pictures
from studio.datasets.edits import Box, Edit, checked_edit, edit_of, whole_of
from studio.datasets.faces import find_faces, read_faces, write_faces
from studio.datasets.framing import Around, Frame, find_frame, find_middle, find_subject
from studio.datasets.opencv import is_installed, load_opencv
from studio.datasets.rows import ImageFile, Picture
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

Keep = Literal["subject", "face", "middle"]
BUCKET = "bucket"
_PART = 240
_PROCESSES_FROM = 24  # pictures; a look takes a fifth of a second
NO_FACE = "No face was found on it, so it stays as it is."


@dataclass(frozen=True)
class Wish:
    """What pictures are cut to, and around what.

    `shape` is width to height such as 3:4, of the picture as it is seen, or `bucket`: the nearest shape that a training at `target`
    knows. `keep` is subject (faces first, else what stands out), face (who has none stays as it is) or middle.
    """

    shape: str
    keep: Keep
    target: Target


@dataclass(frozen=True)
class Framed:
    """One row with the edit that it would get and what that was laid around; or why it stays as it is."""

    row: Picture
    edit: Edit
    around: Around | None = None
    faces: int = 0
    refusal: str = ""


@dataclass
class Cropped:
    """What came of it.

    The token undoes it (empty where all were so already); `done` has the ids of who has the shape now, `around` what they were laid
    around; `left` who stayed, by name, and why.
    """

    token: str = ""
    done: list[str] = field(default_factory=list)
    around: Counter[Around] = field(default_factory=Counter)
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Asked:
    whole: ImageFile
    aspect: float
    keep: Keep
    faces: list[Box] | None  # None: nobody has looked yet


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: Frame | None = None
    faces: list[Box] | None = None
    refusal: str = ""


def read_shape(text: str) -> float:
    """Width over height of a shape such as 3:4.

    Raises:
        DarkroomError: When it is none.
    """
    try:
        wide, high = (float(part) for part in text.split(":"))
        return wide / high
    except (ValueError, ZeroDivisionError):
        raise DarkroomError(f"The shape is “{text}”; it must be two numbers such as 3:4, or {BUCKET}.", field="crop") from None


def crop_pictures(
    store: DatasetStore, dataset_id: str, rows: Iterable[tuple[Picture, Edit]], count: int, wish: Wish, watch: Watch | None = None
) -> Cropped:
    """Cuts rows to a shape, as one step that can be undone; both sides of a pair alike. Who cannot be cut stays and is named.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        rows: Each with how it is to be turned and mirrored.
        count: About how many they are.
        wish: To what, and around what.
        watch: Is told how far it is; where it wants the end, nothing has changed.

    Raises:
        DarkroomError: When the shape is none, faces are wanted without OpenCV, or a file cannot be written. Nothing has changed then.
    """
    watch = watch or Watch()
    result, edits = Cropped(), dict[str, Edit]()
    watch.begin("Looking for what to keep", count)
    for one in find_crops(store, dataset_id, rows, count, wish):
        watch.require_going()
        watch.step()
        if one.around is None:
            result.left.append((one.row.name, one.refusal))
            continue
        result.around[one.around] += 1
        result.done.append(one.row.id)
        if one.edit != edit_of(one.row.images[-1]):
            edits[one.row.id] = one.edit
    if edits:
        watch.begin("Cutting", len(edits), "file")

        def tell(done: int, total: int) -> None:
            watch.require_going()
            watch.total = total
            watch.step(done - watch.done)

        result.token = edit_pictures(store, dataset_id, edits, tell)
    return result


def find_crops(store: DatasetStore, dataset_id: str, rows: Iterable[tuple[Picture, Edit]], count: int, wish: Wish) -> Iterator[Framed]:
    """For each row the edit that it would get, in their order; faces are looked for once and kept. Nothing is changed.

    Raises:
        DarkroomError: When the shape is none, or faces are wanted without OpenCV.
    """
    if wish.keep == "face":
        load_opencv()
    aspect_of = partial(_find_aspect, wish, None if wish.shape == BUCKET else read_shape(wish.shape))
    folder, cache, many = store.workspace.dataset(dataset_id), store.workspace.cache, iter(rows)
    while part := list(islice(many, _PART)):
        fitting = [(row, edit) for row, edit in part if not _say_unfit(row)]
        known = read_faces(cache, [whole_of(row.images[-1]).sha256 for row, _ in fitting]) if wish.keep != "middle" else {}
        asked = [_ask(row, edit, aspect_of, wish.keep, known) for row, edit in fitting]
        least = 1 if count >= _PROCESSES_FROM and wish.keep != "middle" else sys.maxsize  # for the middle no file is opened
        seen = work_through(partial(_frame_picture, folder), asked, len(asked), _say_crashed, many=least)
        try:
            answers = dict(zip((row.id for row, _ in fitting), seen, strict=True))
        finally:
            seen.close()
        fresh = {one.whole.sha256: found.faces for one, found in zip(asked, answers.values(), strict=True) if found.faces is not None}
        write_faces(cache, {content: faces for content, faces in fresh.items() if content not in known and content})
        yield from (_framed(row, edit, answers.get(row.id)) for row, edit in part)


def _find_aspect(wish: Wish, given: float | None, size: tuple[int, int]) -> float:
    if given is not None:
        return given
    bucket: Bucket = choose_bucket(*size, list_buckets(wish.target))
    return bucket.width / bucket.height


def _ask(row: Picture, edit: Edit, aspect_of: Callable[[tuple[int, int]], float], keep: Keep, known: dict[str, list[Box]]) -> _Asked:
    whole = whole_of(row.images[-1])
    if edit.turns % 2:  # a shape is that of the turned picture
        return _Asked(whole, 1 / aspect_of((whole.height, whole.width)), keep, known.get(whole.sha256))
    return _Asked(whole, aspect_of((whole.width, whole.height)), keep, known.get(whole.sha256))


def _frame_picture(folder: Path, asked: _Asked) -> _Seen:
    size = (asked.whole.width, asked.whole.height)
    try:
        if asked.keep == "middle":
            return _Seen(find_middle(size, asked.aspect))
        faces, picture = asked.faces, None
        if faces is None and is_installed():
            picture = open_picture(folder / asked.whole.file)
            faces = find_faces(picture)
        frame = find_frame(size, asked.aspect, faces or [])
        if frame is None and asked.keep == "face":
            return _Seen(None, faces, NO_FACE)
        if frame is None:
            frame = Frame(find_subject(picture or open_picture(folder / asked.whole.file), asked.aspect), "subject")
        return _Seen(frame, faces)
    except DarkroomError as error:
        return _Seen(refusal=error.text)


def _say_crashed(asked: _Asked) -> _Seen:
    return _Seen(refusal=f"Its file {asked.whole.file} brought the decoder down: it is damaged. Remove the picture, or add it again.")


def _say_unfit(row: Picture) -> str:
    if row.missing:
        return f"It still waits for its picture {row.missing}; both sides of a pair are cut alike."
    sizes = {(whole.width, whole.height) for whole in map(whole_of, row.images)}
    return "Its pictures have two sizes, so that one cut does not fit both. Add them again alike." if len(sizes) > 1 else ""


def _framed(row: Picture, edit: Edit, seen: _Seen | None) -> Framed:
    if seen is None or seen.frame is None:
        return Framed(row, edit, refusal=seen.refusal if seen else _say_unfit(row))
    whole = whole_of(row.images[-1])
    try:
        box = checked_edit(seen.frame.box, 0, mirrored=False, size=(whole.width, whole.height)).crop
    except DarkroomError as error:
        return Framed(row, edit, refusal=error.text)
    return Framed(row, replace(edit, crop=box), seen.frame.around, seen.frame.faces)


def say_cropped(made: Cropped) -> str:
    """What came of many crops, in one or two sentences."""
    around = [
        f"{made.around['faces']:,} around faces" if made.around["faces"] else "",
        f"{made.around['subject']:,} around what stands out" if made.around["subject"] else "",
        f"{made.around['middle']:,} around the middle" if made.around["middle"] else "",
    ]
    return f"{len(made.done):,} cropped: {', '.join(filter(None, around)) or 'none'}.{say_left(made.left)}"


def say_left(left: list[tuple[str, str]]) -> str:
    """How many were left as they were, in a sentence; nothing where none was."""
    return f" {len(left):,} {'is' if len(left) == 1 else 'are'} left as {'it was' if len(left) == 1 else 'they were'}." if left else ""
