"""Files that are whole or not there: written beside their place, synced, then renamed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` survive a power cut (fsync of the directory itself)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes, *, lasting: bool = True, sync_parent: bool = True) -> None:
    """Replaces `path` by `data` in one step; a reader sees the old or the new file, never a part.

    Args:
        lasting: Whether a power cut may not take it. What a cache holds can be made again: it is not synced, and may be empty after one.
        sync_parent: Whether the folder is synced here too. Who writes many files calls `sync_folder` once, before naming them anywhere.

    Raises:
        OSError: When the disk is full or the folder cannot be written; the old file is untouched.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        let_others_read(Path(temporary))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if lasting and sync_parent:
        sync_folder(path.parent)


def let_others_read(path: Path) -> None:
    """The rights of any new file: what makes temporary files and what writes tensors keep them to their owner."""
    os.chmod(path, 0o666 & ~_umask())


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Replaces `path` by `text` (UTF-8) in one step."""
    write_bytes(path, text.encode("utf-8"), lasting=lasting)


def write_json(path: Path, value: Any, *, lasting: bool = True, indent: int | None = 1) -> None:
    """Replaces `path` by `value` as JSON in one step; without `indent` on one line, which is far quicker."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent) + "\n", lasting=lasting)


def read_json(path: Path, default: Any = None) -> Any:
    """The JSON value in `path`, or `default` where there is no such file or it is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return default


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
