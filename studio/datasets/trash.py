"""Data sets that were put away: whole, with everything that belongs to them, for 30 days; then they go for good."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.store import DatasetInfo, DatasetStore
from studio.workspace import safe_id

KEPT_S = 30 * 24 * 3600
_NOTE = "trash.json"
_DAY_S = 24 * 3600
_LEFT_S = 2 * _DAY_S
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trashed:
    """A data set in the trash. `bytes` are those of its files, `shared` of them stand in another data set too and are not freed.

    `days_left` counts whole days until it goes for good, 0 on the last one.
    """

    id: str
    name: str
    kind: str
    rows: int
    bytes: int
    shared: int
    trashed: float
    days_left: int


def trash_dataset(store: DatasetStore, dataset_id: str) -> Trashed:
    """Puts a data set away. Whoever calls has asked whether something is at work on it."""
    info = store.info(dataset_id)
    folder = store.workspace.dataset(dataset_id)
    store.workspace.trash.mkdir(exist_ok=True)
    place = store.workspace.trash / dataset_id
    if place.exists():  # of a former version, which did not keep ids in the trash apart
        place = store.workspace.trash / f"{dataset_id[:55]}-{secrets.token_hex(4)}"
    size, shared = _measure(folder)
    note = {"name": info.name, "kind": info.kind, "rows": info.num_pictures, "bytes": size, "shared": shared, "trashed": time.time()}
    files.write_json(folder / _NOTE, note)
    store.take_away(dataset_id, place)
    return _read(place)


def list_trash(store: DatasetStore, *, now: float | None = None) -> list[Trashed]:
    """What is in the trash, the newest first. What has been there for 30 days goes for good."""
    found = []
    for place in store.workspace.trash.iterdir() if store.workspace.trash.is_dir() else ():
        if (place / _NOTE).is_file():
            one = _read(place, now)
            if one.days_left >= 0:
                found.append(one)
            else:
                _log.info("Data set %s was in the trash for 30 days and goes for good.", one.id)
                _remove(store, place)
    return sorted(found, key=lambda t: (-t.trashed, t.id))


def restore_dataset(store: DatasetStore, trashed_id: str) -> DatasetInfo:
    """Brings a data set back, under its id where that is free: then runs and links know it again."""
    place = _find(store, trashed_id)
    name = _read(place).name
    with store.fresh_id(name) as another:
        dataset_id = another if (store.workspace.datasets / place.name).exists() else place.name
        place.rename(store.workspace.datasets / dataset_id)
    (store.workspace.datasets / dataset_id / _NOTE).unlink(missing_ok=True)
    return store.info(dataset_id)


def delete_for_good(store: DatasetStore, trashed_id: str) -> Trashed:
    """Deletes a data set that is in the trash, with all its files; says what it was."""
    place = _find(store, trashed_id)
    gone = _read(place)
    _remove(store, place)
    return gone


def clear_leftovers(store: DatasetStore, *, now: float | None = None) -> int:
    """Removes what a studio that was killed left behind on its way in, and what was in the trash for 30 days; says how many things.

    What has been touched in the last two days stays: another program may be at work in the same workspace.
    """
    now = time.time() if now is None else now
    count = len(list(store.workspace.trash.iterdir())) if store.workspace.trash.is_dir() else 0
    count -= len(list_trash(store, now=now))
    for path in store.workspace.temporary.iterdir():
        with suppress(OSError):  # it went meanwhile
            newest = max(p.stat().st_mtime for p in (path, *(path.iterdir() if path.is_dir() else ())))
            if newest < now - _LEFT_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
    return count


def find_trashed(store: DatasetStore, trashed_id: str) -> Trashed:
    """One data set in the trash.

    Raises:
        DarkroomError: When none of this id is there.
    """
    return _read(_find(store, trashed_id))


def describe_size(one: Trashed) -> str:
    """`12 pictures, 3.4 MB`, with what is not freed."""
    noun = "pair" if one.kind == "pairs" else "picture"
    shared = f", of which {one.shared / 1e6:,.1f} MB are shared with another data set and stay" if one.shared else ""
    return f"{one.rows:,} {noun}{'' if one.rows == 1 else 's'}, {one.bytes / 1e6:,.1f} MB{shared}"


def _find(store: DatasetStore, trashed_id: str) -> Path:
    place = store.workspace.trash / safe_id(trashed_id, "data set")
    if not (place / _NOTE).is_file():
        raise DarkroomError(f"There is no data set “{trashed_id}” in the trash. It may have been restored, or have gone for good.")
    return place


def _remove(store: DatasetStore, place: Path) -> None:
    grave = store.workspace.temporary / f"deleted-{place.name}-{secrets.token_hex(4)}"
    place.rename(grave)
    shutil.rmtree(grave, ignore_errors=True)


def _read(place: Path, now: float | None = None) -> Trashed:
    note = files.read_json(place / _NOTE)
    note = note if isinstance(note, dict) else {}
    at = float(note.get("trashed") or place.stat().st_mtime)
    left = int((at + KEPT_S - (time.time() if now is None else now)) // _DAY_S)
    numbers = {key: int(note.get(key) or 0) for key in ("rows", "bytes", "shared")}
    return Trashed(
        place.name, str(note.get("name") or place.name), str(note.get("kind") or "pictures"), **numbers, trashed=at, days_left=left
    )


def _measure(folder: Path) -> tuple[int, int]:
    """Bytes of all files, and of those that another data set has too."""
    total = shared = 0
    for file in _walk(folder):
        status = file.stat()
        total += status.st_size
        shared += status.st_size if status.st_nlink > 1 else 0
    return total, shared


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file():
            yield path
