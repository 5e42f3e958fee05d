"""metadata.jsonl: the one list of a data set's pictures and captions, read and rewritten whole, by many at once."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from backends.contract import files
from backends.contract.errors import DarkroomError

TextBy = Literal["", "file", "captioner", "person"]
METADATA = "metadata.jsonl"


@dataclass(frozen=True)
class Picture:
    """One picture of a data set.

    `id` comes from the content of the file as it was dropped; `name` is what it was called then; `file` is the training
    copy, relative to the data set's folder; `bytes` the size as dropped; `sha256` that of the training copy; `version`
    grows with every change of `text`.
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
    """The pictures of one data set, in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / METADATA
        self._stamp: tuple[int, int] | None = None
        self._rows: tuple[Picture, ...] = ()
        self._guard = threading.Lock()

    def read(self) -> tuple[Picture, ...]:
        """All pictures; the file is read again only when somebody changed it.

        Raises:
            DarkroomError: When a line of metadata.jsonl is not a picture; names the line.
        """
        with self._guard:
            stamp = self._now()
            if stamp != self._stamp:
                self._rows = _parse(self.path) if stamp else ()
                self._stamp = stamp
            return self._rows

    @contextmanager
    def change(self) -> Iterator[list[Picture]]:
        """The pictures as a list to change; on leaving without an exception the file is replaced in one step."""
        with hold_lock(self.folder / ".lock"):
            before = self.read()
            rows = list(before)
            yield rows
            if tuple(rows) != before:
                self._write(tuple(rows))

    def _write(self, rows: tuple[Picture, ...]) -> None:
        last = self._now()
        files.write_text(self.path, "".join(_line(row) for row in rows))
        status = self.path.stat()
        if last and status.st_mtime_ns <= last[0]:
            # The clock of a file system is coarse: two changes within a tick would look like none to other readers.
            os.utime(self.path, ns=(status.st_atime_ns, last[0] + 1_000_000))
        with self._guard:
            self._rows, self._stamp = rows, self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size


def _line(row: Picture) -> str:
    # `file_name` and `text` first: with these two columns every imagefolder reader understands the file.
    values = asdict(row)
    standard = {"file_name": values.pop("file"), "text": values.pop("text")}
    return json.dumps(standard | values, ensure_ascii=False) + "\n"


def _parse(path: Path) -> tuple[Picture, ...]:
    rows: list[Picture] = []
    text = path.read_text("utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_picture(line, number, path))
    return tuple(rows)


def _picture(line: str, number: int, path: Path) -> Picture:
    try:
        values: dict[str, Any] = json.loads(line)
        file = str(values["file_name"])
        if file.startswith("/") or ".." in file.split("/"):
            raise ValueError("file_name leaves the data set's folder")
        return Picture(
            id=str(values["id"]),
            name=str(values.get("name", file)),
            file=file,
            width=int(values["width"]),
            height=int(values["height"]),
            bytes=int(values.get("bytes", 0)),
            text=str(values.get("text") or ""),
            text_by=values["text_by"] if values.get("text_by") in ("file", "captioner", "person") else "",
            version=int(values.get("version", 1)),
            sha256=str(values.get("sha256", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DarkroomError(
            f"Line {number} of {path} cannot be read ({type(error).__name__}: {error}). Mend or remove this line; the others are untouched."
        ) from None
