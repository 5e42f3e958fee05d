"""The data sets of a workspace: their pictures, names, thumbnails; removal that can be undone."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import logging
import secrets
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets import thumbnails
from studio.datasets.changes import Changes
from studio.datasets.edits import MASKS, mask_copy
from studio.datasets.index import PictureIndex, hold_lock
from studio.datasets.names import free_name
from studio.datasets.rows import ImageFile, Picture, from_plain, identify, to_plain, whole_id, with_images
from studio.datasets.trigger import PLACES
from studio.workspace import Workspace, new_id, safe_id

__all__ = ["DatasetInfo", "DatasetStore", "Picture"]
MAX_PICTURES = 100_000
KINDS = ("pictures", "pairs")
Pictures = list[Picture]  # the method `list` hides the builtin inside the class
_log = logging.getLogger(__name__)
_UNDO_KEPT_S = 30 * 24 * 3600
_CHANGED = {"exclude": "excluded", "judge": "judges", "mask": "mask"}  # by kind of step, what alone it changes of a row


@dataclass(frozen=True)
class DatasetInfo:
    """What a list of data sets shows. `created` is in seconds since 1970; `problem` says why it cannot be read, if so.

    Of edit pairs, `num_pictures` and `num_captions` count pairs and instructions, `num_incomplete` the pairs that lack a side,
    `num_awaited` those that a list names and of which neither picture has come. `num_excluded` are whole and left out of training;
    `num_silent` are those of a training that have no words yet, `num_judges` those of it that were chosen to judge.
    """

    id: str
    name: str
    kind: str
    created: float
    trigger_word: str
    num_pictures: int
    num_captions: int
    cover: str | None
    trigger_place: str = "subject"
    problem: str = ""
    num_incomplete: int = 0
    num_awaited: int = 0
    num_excluded: int = 0
    num_silent: int = 0
    num_judges: int = 0

    @property
    def num_training(self) -> int:
        """Rows that a training would be given."""
        return self.num_pictures - self.num_incomplete - self.num_excluded


class DatasetStore:
    """Data sets on disk. Safe to share between threads, and beside other processes on the same workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._indexes: dict[str, PictureIndex] = {}
        self._guard = threading.Lock()

    def create(self, name: str, kind: str = "pictures") -> DatasetInfo:
        """A new, empty data set. Without a kind the first files that come decide."""
        if kind and kind not in KINDS:
            raise DarkroomError(f"There is no data set of the kind “{kind}”. There is: {', '.join(KINDS)}.", field="kind")
        name = checked_name(name)
        with self.fresh_id(name) as dataset_id:
            folder = self.workspace.datasets / dataset_id
            folder.mkdir(parents=True)
            for part in ("images", ".originals", ".undo"):
                (folder / part).mkdir()
            files.write_json(folder / "dataset.json", _new_head(name, {"kind": kind}))
        return self.info(dataset_id)

    def adopt(self, folder: Path, name: str, head: dict[str, Any]) -> DatasetInfo:
        """Makes a data set of a folder of the workspace's file system that has all that belongs to one but `dataset.json`: in one step."""
        name = checked_name(name)
        files.write_json(folder / "dataset.json", _new_head(name, head))
        with self.fresh_id(name) as dataset_id:
            folder.rename(self.workspace.datasets / dataset_id)
        return self.info(dataset_id)

    @contextmanager
    def fresh_id(self, name: str) -> Iterator[str]:
        """An id that no data set has, not even one in the trash, while nobody else takes it."""
        with hold_lock(self.workspace.datasets / ".lock"):
            yield new_id(name, self.workspace.datasets, self.workspace.trash)

    def list(self) -> list[DatasetInfo]:
        """All data sets, the newest first. One that cannot be read says so in `problem`, and hides no other."""
        found = []
        for folder in self.workspace.datasets.iterdir():
            if not folder.name.startswith(".") and (folder / "dataset.json").is_file():
                try:
                    found.append(self.info(folder.name))
                except DarkroomError as error:
                    _log.warning("Data set %s cannot be read: %s", folder.name, error)
                    head = self._head(folder)
                    found.append(DatasetInfo(folder.name, head["name"], head["kind"], head["created"], "", 0, 0, None, problem=error.text))
        return sorted(found, key=lambda d: (-d.created, d.id))

    def info(self, dataset_id: str) -> DatasetInfo:
        """Name and numbers of one data set."""
        folder = self.workspace.dataset(dataset_id)
        head = self._head(folder)
        index = self.index(dataset_id)
        numbers = index.numbers()
        first = next(index.rows(limit=1), None)
        return DatasetInfo(
            id=dataset_id,
            **head,
            num_pictures=numbers.rows,
            num_captions=numbers.captions,
            cover=first.face if first else None,
            num_incomplete=numbers.incomplete,
            num_awaited=numbers.awaited,
            num_excluded=numbers.excluded,
            num_silent=numbers.silent,
            num_judges=numbers.judges,
        )

    def trigger(self, dataset_id: str) -> tuple[str, str]:
        """Its trigger word and where that stands."""
        head = self._head(self.workspace.dataset(dataset_id))
        return head["trigger_word"], head["trigger_place"]

    def update(
        self, dataset_id: str, *, name: str | None = None, trigger_word: str | None = None, trigger_place: str | None = None
    ) -> DatasetInfo:
        """Renames it, or notes its trigger word, without touching any caption."""
        folder = self.workspace.dataset(dataset_id)
        wanted: dict[str, Any] = {}
        if name is not None:
            wanted["name"] = checked_name(name)
        if trigger_word is not None:
            wanted["trigger_word"] = _checked_word(trigger_word)
        if trigger_place in PLACES:
            wanted["trigger_place"] = trigger_place
        with hold_lock(folder / ".lock"):
            head = self._head(folder)
            if head | wanted != head:
                stored = files.read_json(folder / "dataset.json")  # a kind that nobody has decided yet stays open
                kind = {"kind": stored["kind"]} if isinstance(stored, dict) and "kind" in stored else {}
                files.write_json(folder / "dataset.json", head | wanted | kind)
        return self.info(dataset_id)

    def set_kind(self, dataset_id: str, kind: str) -> None:
        """Makes an empty data set one of pictures or of edit pairs."""
        folder = self.workspace.dataset(dataset_id)
        if kind not in KINDS:
            raise DarkroomError(f"There is no data set of the kind “{kind}”. There is: {', '.join(KINDS)}.", field="kind")
        with hold_lock(folder / ".lock"):
            if self.index(dataset_id).numbers().rows and self._head(folder)["kind"] != kind:
                raise DarkroomError("Its kind can be changed only while nothing is in it. Begin another data set.", field="kind")
            files.write_json(folder / "dataset.json", (files.read_json(folder / "dataset.json") or {}) | {"kind": kind})

    def decide_kind(self, dataset_id: str, guess: Callable[[], str]) -> str:
        """The kind of the data set; where nobody chose one and nothing is in it yet, it becomes what `guess` says."""
        folder = self.workspace.dataset(dataset_id)
        with hold_lock(folder / ".lock"):
            head = files.read_json(folder / "dataset.json")
            if isinstance(head, dict) and head.get("kind") == "":
                files.write_json(folder / "dataset.json", head | {"kind": guess()})
        return str(self._head(folder)["kind"])

    def delete(self, dataset_id: str) -> None:
        """Deletes it with all its pictures. Whoever calls has asked whether a run needs them."""
        grave = self.workspace.temporary / f"deleted-{dataset_id}-{secrets.token_hex(4)}"
        self.take_away(dataset_id, grave)  # gone in one step, even when removing the files is cut short
        shutil.rmtree(grave, ignore_errors=True)

    def take_away(self, dataset_id: str, place: Path) -> None:
        """Moves its folder out of the data sets, in one step."""
        folder = self.workspace.dataset(dataset_id)
        with self._guard:
            self._indexes.pop(dataset_id, None)
        folder.rename(place)

    def pictures(self, dataset_id: str, offset: int = 0, limit: int | None = None) -> Pictures:
        """Its pictures in the order in which they came, from `offset` on, at most `limit`. Of many take `index(...).rows()`."""
        self.workspace.dataset(dataset_id)
        return list(self.index(dataset_id).rows(offset=offset, limit=limit))

    def training_pictures(self, dataset_id: str) -> Pictures:
        """Those that a training is given: all but the excluded ones, halves of pairs too, which a training refuses by name."""
        self.workspace.dataset(dataset_id)
        return [row for row in self.index(dataset_id).rows() if not row.excluded]

    def picture(self, dataset_id: str, picture_id: str) -> Picture:
        """One picture.

        Raises:
            DarkroomError: When the data set has none of this id.
        """
        self.workspace.dataset(dataset_id)
        return found_picture(self.index(dataset_id).get(picture_id), picture_id)

    def image(self, dataset_id: str, image_id: str) -> ImageFile:
        """One file: a picture by its id, or a side of a pair by the id of its content.

        Raises:
            DarkroomError: When the data set has none of this id.
        """
        self.workspace.dataset(dataset_id)
        found = self.index(dataset_id).image(image_id)
        if found is None:
            raise _missing(image_id)
        return found

    def path(self, dataset_id: str, image_id: str) -> Path:
        """The training copy as the edit in its id made it: an upright 8-bit sRGB PNG."""
        return self.workspace.dataset(dataset_id) / self.image(dataset_id, image_id).file

    def thumbnail(self, dataset_id: str, image_id: str, size_px: int) -> Path:
        """A WebP whose longer side is at most `size_px` (192, 384 or 768), made when it is asked for the first time."""
        image = self.image(dataset_id, image_id)
        return thumbnails.find_or_make(self.workspace.cache, self.workspace.dataset(dataset_id) / image.file, image.sha256, size_px)

    def index(self, dataset_id: str) -> PictureIndex:
        """The list of its pictures, for those modules of this package that change it."""
        folder = self.workspace.datasets / safe_id(dataset_id, "data set")
        with self._guard:
            return self._indexes.setdefault(dataset_id, PictureIndex(folder))

    def add(self, dataset_id: str, new: Iterable[Picture]) -> dict[str, str]:
        """Appends pictures whose files are in place. What is there already stays as it is.

        Returns:
            Names that were taken by another picture -> the names that were given instead.
        """
        renamed: dict[str, str] = {}
        with self.index(dataset_id).change() as rows:
            count = len(rows)
            for picture in new:
                if rows.get(picture.id) is not None:
                    continue
                if count >= MAX_PICTURES:
                    raise DarkroomError(f"This data set has {count:,} pictures; {MAX_PICTURES:,} are the most. Begin another data set.")
                name = free_name(picture.name, rows)
                if name != picture.name:
                    renamed[picture.id] = name
                rows.add(dataclasses.replace(picture, name=name))
                count += 1
        return renamed

    def remove(self, dataset_id: str, picture_ids: Collection[str]) -> str:
        """Takes rows out; the token undoes it. Their files stay for 30 days: a run that reads them is not disturbed."""
        self.workspace.dataset(dataset_id)
        with self.index(dataset_id).change() as rows:
            taken = [found_picture(rows.get(picture_id), picture_id) for picture_id in dict.fromkeys(picture_ids)]
            token = self.remember(dataset_id, "remove", rows, taken)
            rows.remove([row.id for row in taken])
        return token

    def remember(self, dataset_id: str, what: str, rows: Changes, touched: Iterable[Picture]) -> str:
        """Keeps how rows stand before a step that takes them out, or changes their pictures or part in training; the token to undo it."""
        folder = self.workspace.dataset(dataset_id) / ".undo"
        folder.mkdir(exist_ok=True)
        token = f"{what}-{time.time_ns():x}-{secrets.token_hex(3)}"
        kept = {"pictures": [to_plain(p) | {"place": p.place or rows.place(p.id)} for p in touched]}
        files.write_json(folder / f"{token}.json", kept, indent=None)
        return token

    def undo(self, dataset_id: str, token: str) -> int:
        """Puts rows back where they stood, with their words; gives those that stayed their pictures back, or their part in training."""
        path = self.workspace.dataset(dataset_id) / ".undo" / f"{safe_id(token, 'removal')}.json"
        step = files.read_json(path)
        if not isinstance(step, dict):
            raise DarkroomError("This can no longer be undone: it was undone already, or it is more than 30 days old.")
        count = 0
        with self.index(dataset_id).change() as rows:
            back = [(from_plain(values), values.get("place")) for values in step["pictures"]]
            gone = []
            for old, place in back:
                row = rows.get(old.id)
                if row is None:
                    gone.append((old, place))
                elif (now := _as_it_was(row, old, token)) != row:
                    rows.put(now, files=not token.startswith(("exclude-", "judge-")))
                    count += 1
            for old, place in gone:
                if old.missing or rows.with_content(old.content) is None:
                    rows.add(dataclasses.replace(old, name=free_name(old.name, rows)), place)
                    count += 1
        path.unlink(missing_ok=True)
        return count

    def empty_trash(self, dataset_id: str, older_than_s: float = _UNDO_KEPT_S) -> int:
        """Deletes files of pictures that were removed long ago, and old undo steps; says how many pictures went."""
        folder = self.workspace.dataset(dataset_id)
        limit, count = time.time() - older_than_s, 0
        with hold_lock(folder / ".lock"):
            for step in (folder / ".undo").glob("*.json"):
                if step.stat().st_mtime <= limit:
                    step.unlink()
            kept = {name for p in self.index(dataset_id).rows() for name in _file_names(p)}
            for step in (folder / ".undo").glob("*.json"):
                removed = [from_plain(values) for values in (files.read_json(step) or {}).get("pictures", [])]
                kept |= {name for p in removed for name in _file_names(p)}
            for part in ("images", ".originals", MASKS):
                for path in (folder / part).iterdir() if (folder / part).is_dir() else ():
                    if path.stem not in kept and path.stat().st_mtime <= limit:
                        path.unlink()
                        count += part == "images"
        return count

    def fingerprint(self, dataset_id: str, rows: Iterable[Picture] | None = None) -> str:
        """Changes whenever a picture, a caption or the trigger word does. `rows`: all of them, where somebody has read them already."""
        info = self.info(dataset_id)
        digest = hashlib.sha256(info.trigger_word.encode())
        for picture in self.index(dataset_id).rows() if rows is None else rows:
            digest.update(identify(picture))
        return digest.hexdigest()[:16]

    def _head(self, folder: Path) -> dict[str, Any]:
        head = files.read_json(folder / "dataset.json")
        head = head if isinstance(head, dict) else {}
        return {
            "name": str(head.get("name") or folder.name),
            "kind": str(head.get("kind") or "pictures"),
            "created": float(head.get("created") or folder.stat().st_mtime),
            "trigger_word": str(head.get("trigger_word") or ""),
            "trigger_place": str(head.get("trigger_place") or "subject"),
        }


def _new_head(name: str, head: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "kind": "pictures", "created": time.time(), "trigger_word": "", "trigger_place": "subject", **head}


def found_picture(row: Picture | None, picture_id: str) -> Picture:
    """The row, or a DarkroomError that says that there is none of this id."""
    if row is None:
        raise _missing(picture_id)
    return row


def _as_it_was(row: Picture, old: Picture, token: str) -> Picture:
    """A row that stayed, with what the step of this token changed."""
    only = _CHANGED.get(token.partition("-")[0])
    if only:
        return dataclasses.replace(row, **{only: getattr(old, only)})
    if old.before is not None and old.after is not None:
        return with_images(row, (old.before, old.after))
    return dataclasses.replace(with_images(row, old.images), mask=row.mask)


def _file_names(row: Picture) -> Iterator[str]:
    """What its files are called without their endings: those that are shown, the whole ones that they were cut from, the masks."""
    for image in row.images:
        yield from (image.id, whole_id(image.id))
        if image.mask:
            yield from (Path(image.mask).stem, mask_copy(image).stem)


def _missing(picture_id: str) -> DarkroomError:
    return DarkroomError(f"There is no picture “{str(picture_id)[:80]}” in this data set. It may have been removed.")


def explain_disk(error: OSError) -> DarkroomError:
    """A full disk, or one that cannot be written, in plain words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DarkroomError("The disk is full. Free some space, then add the file again; what came before is safe.")
    return DarkroomError(f"The workspace cannot be written ({error.strerror}). Check the disk and its permissions, then try again.")


def checked_name(name: str) -> str:
    """The name on one line, as it can be shown.

    Raises:
        DarkroomError: When it has none or more than 80 characters.
    """
    clean = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if not 1 <= len(clean) <= 80:
        raise DarkroomError(f"The name has {len(clean)} characters; 1 to 80 are possible. Give another name.", field="name")
    return clean


def _checked_word(word: str) -> str:
    clean = " ".join(unicodedata.normalize("NFC", word).split())
    if len(clean) > 100 or any(not c.isprintable() for c in clean):
        raise DarkroomError(f"The trigger word has {len(clean)} characters; up to 100 printable ones are possible.", field="trigger_word")
    return clean
