"""metadata.jsonl: the one list of a data set's pictures (or edit pairs) and their words, by many at once."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.rows import Picture, from_plain, to_plain

METADATA = "metadata.jsonl"


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Keeps every other thread and process out that asks for the same lock file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class PictureIndex:
    """The rows of one data set, in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / METADATA
        self._stamp: tuple[int, int] | None = None
        self._rows: tuple[Picture, ...] = ()
        self._shown: tuple[Picture, ...] = ()
        self._guard = threading.Lock()

    def read(self) -> tuple[Picture, ...]:
        """All rows of which a picture is there; the file is read again only when somebody changed it.

        Raises:
            DarkroomError: When a line of metadata.jsonl is not a picture; names the line.
        """
        self._read_all()
        return self._shown

    def count_awaited(self) -> int:
        """Pairs that a list names and of which neither picture has come."""
        return len(self._read_all()) - len(self._shown)

    @contextmanager
    def change(self) -> Iterator[list[Picture]]:
        """All rows as a list to change; on leaving without an exception the file is replaced in one step."""
        with hold_lock(self.folder / ".lock"):
            before = self._read_all()
            rows = list(before)
            yield rows
            if tuple(rows) != before:
                self._write(tuple(rows), before)

    def _read_all(self) -> tuple[Picture, ...]:
        with self._guard:
            stamp = self._now()
            if stamp != self._stamp:
                self._keep(_parse(self.path) if stamp else (), stamp)
            return self._rows

    def _keep(self, rows: tuple[Picture, ...], stamp: tuple[int, int] | None) -> None:
        waiting = any(row.missing == "both" for row in rows)
        self._rows = rows
        self._shown = tuple(row for row in rows if row.missing != "both") if waiting else rows
        self._stamp = stamp

    def _write(self, rows: tuple[Picture, ...], before: tuple[Picture, ...]) -> None:
        last = self._now()
        # Among thousands of rows one has changed: the other lines are taken over as they stand.
        lines = self.path.read_bytes().splitlines() if last else []
        known = {id(row): line for row, line in zip(before, lines, strict=True)} if len(lines) == len(before) else {}
        files.write_bytes(self.path, b"".join((known.get(id(row)) or _line(row)) + b"\n" for row in rows))
        status = self.path.stat()
        if last and status.st_mtime_ns <= last[0]:
            # The clock of a file system is coarse: two changes within a tick would look like none to other readers.
            os.utime(self.path, ns=(status.st_atime_ns, last[0] + 1_000_000))
        with self._guard:
            self._keep(rows, self._now())

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size


def _line(row: Picture) -> bytes:
    return json.dumps(to_plain(row), ensure_ascii=False).encode("utf-8", "replace")


def _parse(path: Path) -> tuple[Picture, ...]:
    rows: list[Picture] = []
    text = path.read_text("utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_picture(line, number, path))
    return tuple(rows)


def _picture(line: str, number: int, path: Path) -> Picture:
    try:
        return from_plain(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DarkroomError(
            f"Line {number} of {path} cannot be read ({type(error).__name__}: {error}). Mend or remove this line; the others are untouched."
        ) from None
