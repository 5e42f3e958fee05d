"""ZIP and tar files from strangers: everything or nothing is unpacked, and never outside one fresh folder."""

from __future__ import annotations

import lzma
import os
import re
import secrets
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backends.contract.errors import DarkroomError

MAX_ENTRIES = 25_000
MAX_ENTRY_BYTES = 512 * 2**20
MAX_TOTAL_BYTES = 20 * 2**30
MAX_RATIO = 200  # deflate reaches about 1,000; pictures reach 10, flat drawings as BMP 100
_RATIO_FREE_BYTES = 512 * 2**20
_MAX_DIRECTORY_BYTES = 8 * 2**20
_SPARE_DISK_BYTES = 2**30
_CHUNK = 1 << 20
_DRIVE = re.compile(r"^[A-Za-z]:")
_WAY_OUT = "Nothing was taken from it. Pack the pictures again in a plain ZIP."


@dataclass
class Unpacked:
    """Names as they stand in the ZIP, in its order: files with their place, and refused ones with the reason."""

    files: list[tuple[str, Path]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def unpack(path: Path, temporary: Path) -> Iterator[Unpacked]:
    """The files of a ZIP or tar under names of our own in a folder that is gone afterwards.

    Raises:
        DarkroomError: When it is damaged, locked, or made to do harm; then nothing of it is used.
    """
    folder = temporary / f"unpacked-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        yield _unpack_tar(path, folder) if _is_tar(path) else _unpack(path, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> Unpacked:
    _refuse_huge_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            _refuse_harm(archive.infolist(), path.stat().st_size, folder)
            return _copy_entries(archive, entries, folder)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError):
        raise DarkroomError("The ZIP is damaged or does not end. Nothing was taken from it. Copy or pack it again.") from None


def _refuse_huge_directory(path: Path) -> None:
    """Reads the size of the list of entries before anything parses it: a million entries cost seconds and a gigabyte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            raise DarkroomError("This is not a ZIP, or its end is missing. Copy or pack it again.")
        entries, directory = struct.unpack("<HI", tail[at + 10 : at + 16])
        record = tail.rfind(b"PK\6\6")
        if entries == 0xFFFF or directory == 0xFFFFFFFF:
            if record < 0 or len(tail) < record + 48:
                raise DarkroomError("This ZIP's list of files is damaged. Copy or pack it again.")
            entries, directory = struct.unpack("<QQ", tail[record + 32 : record + 48])
    if entries > MAX_ENTRIES or directory > _MAX_DIRECTORY_BYTES:
        raise DarkroomError(f"The ZIP lists more than {MAX_ENTRIES:,} files. {_WAY_OUT}")


def _refuse_harm(entries: list[zipfile.ZipInfo], packed_bytes: int, folder: Path) -> None:
    if len(entries) > MAX_ENTRIES:
        raise DarkroomError(f"The ZIP lists {len(entries):,} files; at most {MAX_ENTRIES:,} are taken. {_WAY_OUT}")
    for entry in entries:
        _refuse_harmful_entry(entry)
    total = sum(e.file_size for e in entries)
    if total > MAX_TOTAL_BYTES or (total > _RATIO_FREE_BYTES and total > MAX_RATIO * packed_bytes):
        raise _bomb(total, packed_bytes)
    free = shutil.disk_usage(folder).free
    if total + _SPARE_DISK_BYTES > free:
        raise DarkroomError(
            f"Unpacked, the ZIP needs {total / 1e9:,.1f} GB; {free / 1e9:,.1f} GB of the disk are free. Free some space, then add it again."
        )


def _refuse_harmful_entry(entry: zipfile.ZipInfo) -> None:
    # `orig_filename`: ZipInfo cuts `filename` at a zero byte and turns the system's separator round.
    name = entry.orig_filename.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/") or "\0" in name:
        raise DarkroomError(f"The ZIP wants to write outside its folder (“{entry.filename[:80]}”). {_WAY_OUT}")
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DarkroomError(f"The ZIP holds a link or a device (“{entry.filename[:80]}”). {_WAY_OUT}")
    if entry.flag_bits & 0x41:
        raise DarkroomError("The ZIP is locked with a password. Unpack it and add the pictures, or pack them without one.")


def _bomb(total: int, packed_bytes: int, what: str = "ZIP") -> DarkroomError:
    return DarkroomError(
        f"The {what} has {packed_bytes / 1e6:,.1f} MB and would grow to {total / 1e6:,.0f} MB: no pictures shrink that far. {_WAY_OUT}"
    )


def _copy_entries(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> Unpacked:
    unpacked, total = Unpacked(), 0
    packed_bytes = os.fstat(archive.fp.fileno()).st_size if archive.fp else 0
    for number, entry in enumerate(entries):
        name = entry.filename
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            unpacked.refused.append((name, "It is packed in an uncommon way. Pack it as a plain ZIP (deflate)."))
            continue
        if entry.file_size > MAX_ENTRY_BYTES:
            unpacked.refused.append((name, f"Unpacked it has {entry.file_size / 2**20:,.0f} MiB; at most 512 MiB are taken."))
            continue
        place = folder / f"{number:06d}"
        with archive.open(entry) as source, place.open("wb") as target:
            # Counted while reading: what the list of entries says about sizes may be a lie.
            while chunk := source.read(_CHUNK):
                total += len(chunk)
                if total > MAX_TOTAL_BYTES or (total > _RATIO_FREE_BYTES and total > MAX_RATIO * packed_bytes):
                    raise _bomb(total, packed_bytes)
                target.write(chunk)
        unpacked.files.append((name, place))
    return unpacked


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(512)
    return head[257:262] == b"ustar" or head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))


def _unpack_tar(path: Path, folder: Path) -> Unpacked:
    """Read from one end to the other: a tar has no list of its members, so that harm is met on the way, and nothing is used then."""
    unpacked, total, packed_bytes = Unpacked(), 0, path.stat().st_size
    most = min(MAX_TOTAL_BYTES, max(0, shutil.disk_usage(folder).free - _SPARE_DISK_BYTES))
    try:
        require_tar_end(path)
        with tarfile.open(path, "r|*") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_ENTRIES:
                    raise DarkroomError(f"The tar holds more than {MAX_ENTRIES:,} files. {_WAY_OUT}")
                _refuse_harmful_member(member)
                if not member.isfile():
                    continue
                total += member.size
                if total > most or (total > _RATIO_FREE_BYTES and total > MAX_RATIO * packed_bytes):
                    raise _bomb(total, packed_bytes, "tar")
                if member.size > MAX_ENTRY_BYTES:
                    unpacked.refused.append((member.name, f"It has {member.size / 2**20:,.0f} MiB; at most 512 MiB are taken."))
                    continue
                place = folder / f"{number:06d}"
                source = archive.extractfile(member)
                with place.open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)  # type: ignore[arg-type, misc]
                if place.stat().st_size < member.size:
                    raise EOFError
                unpacked.files.append((member.name, place))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError):
        raise DarkroomError("The tar is damaged or does not end. Nothing was taken from it. Copy or pack it again.") from None
    return unpacked


def require_tar_end(path: Path) -> None:
    """A tar ends with two blocks of zeros; `tarfile` takes one that was cut between two members for a whole one.

    Raises:
        EOFError: When they are not there. Of a packed tar the packing tells.
    """
    with path.open("rb") as file:
        packed = file.read(512)[257:262] != b"ustar"
        file.seek(max(0, path.stat().st_size - 1024))
        if not packed and any(file.read()):
            raise EOFError("its end is missing")


def _refuse_harmful_member(member: tarfile.TarInfo) -> None:
    name = member.name.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/") or "\0" in name:
        raise DarkroomError(f"The tar wants to write outside its folder (“{member.name[:80]}”). {_WAY_OUT}")
    if not (member.isfile() or member.isdir()):
        raise DarkroomError(f"The tar holds a link or a device (“{member.name[:80]}”). {_WAY_OUT}")
