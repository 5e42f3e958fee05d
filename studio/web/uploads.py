"""Files on their way in: streamed part by part into the workspace, counted and measured as they come, never held in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from backends.contract.errors import DarkroomError
from studio.datasets.ingest import clean_name

MAX_FILES, MAX_FILE_BYTES, SPARE_BYTES = 64, 4 * 2**30, 500 * 2**20
_MAX_HEADER = 8192


@dataclass
class Received:
    """One file of an upload: the name that the person knows, where it lies, and a fault where it was not taken."""

    name: str
    path: Path
    size: int = 0
    fault: str = ""


@dataclass
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""
    file: BinaryIO | None = None
    received: Received | None = None


@contextmanager
def upload_folder(temporary: Path) -> Iterator[Path]:
    """A fresh folder on the workspace's file system, gone at the end whatever happens."""
    temporary.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=temporary, prefix="upload-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def receive_files(request: Request, folder: Path) -> list[Received]:
    """Writes every file part of a multipart request into `folder` under a name of ours.

    Raises:
        DarkroomError: When it is not such a request, holds too many files, breaks off, or the disk is too full for it.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise DarkroomError("This upload holds no files. Drop pictures, folders or ZIP files on the page.")
    _check_disk(folder, request.headers.get("content-length"))
    sink = _Sink(folder)
    parser = MultipartParser(options[b"boundary"], sink.callbacks())  # type: ignore[arg-type]
    try:
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except MultipartParseError:
        raise DarkroomError("The upload broke off or is not whole. Try again.") from None
    except OSError as error:
        raise DarkroomError(f"The upload could not be written: {error.strerror}. Make room on the disk, then try again.") from None
    finally:
        sink.close()
    if not sink.files:
        raise DarkroomError("This upload holds no files. Drop pictures, folders or ZIP files on the page.")
    if not sink.ended:
        raise DarkroomError("The upload broke off before its end. Try again.")
    return sink.files


def _check_disk(folder: Path, length: str | None) -> None:
    free, needed = shutil.disk_usage(folder).free, int(length) if length and length.isdigit() else 0
    if needed + SPARE_BYTES > free:
        raise DarkroomError(
            f"The upload has {needed / 1e6:,.0f} MB and the disk of the workspace has {free / 1e6:,.0f} MB free. "
            f"{SPARE_BYTES / 1e6:,.0f} MB stay in reserve. Make room, then try again."
        )


class _Sink:
    """Takes the parser's pieces."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._part = folder, _Part()
        self.files: list[Received] = []
        self.ended = False

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._part.name = (self._part.name + data[start:end])[:_MAX_HEADER]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value = (self._part.value + data[start:end])[:_MAX_HEADER]

    def _header_end(self) -> None:
        self._part.headers[self._part.name.decode("latin-1").lower()] = self._part.value.decode("latin-1")
        self._part.name = self._part.value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition", ""))
        if b"filename" not in options:
            return  # an ordinary field: its content is not kept
        if len(self.files) >= MAX_FILES:
            raise DarkroomError(
                f"More than {MAX_FILES} files in one request. The page sends them in smaller parts; reload it and try again."
            )
        name = clean_name(options[b"filename"].decode("utf-8", "replace"))
        received = Received(name, self._folder / f"{len(self.files):04d}")
        self.files.append(received)
        self._part.received = received
        self._part.file = received.path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        received = self._part.received
        if received is None or self._part.file is None or received.fault:
            return
        received.size += end - start
        if received.size > MAX_FILE_BYTES:
            received.fault = f"The file is larger than {MAX_FILE_BYTES / 2**30:.0f} GB. Split it, or drop the pictures themselves."
            self._part.file.truncate(0)
            return
        self._part.file.write(data[start:end])

    def _end(self) -> None:
        self.ended = True

    def close(self) -> None:
        if self._part.file is not None:
            self._part.file.close()
            self._part.file = None
