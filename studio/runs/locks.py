"""One run at a time on a device, also over several apps: a lock that the kernel frees when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.workspace import Workspace


class Busy(DarkroomError):
    """Somebody else holds the lock; `holder` is what they wrote into it."""

    def __init__(self, text: str, holder: str = "") -> None:
        super().__init__(text)
        self.holder = holder


def device_lock(workspace: Workspace, device: str) -> Path:
    """Where the lock of a device (`gpu`, `cpu`) lies."""
    folder = workspace.root / "locks"
    folder.mkdir(exist_ok=True)
    return folder / f"{device}.lock"


def take_lock(path: Path, holder: str, refusal: str = "Somebody else is at it.") -> int:
    """The handle of the lock; it is held until every copy of the handle is closed, also those in child processes.

    Raises:
        Busy: When another process or thread holds it; with `refusal`, where {holder} becomes the holder.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        other = os.pread(handle, 200, 0).decode("utf-8", errors="replace")
        os.close(handle)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise Busy(refusal.replace("{holder}", other), other) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, holder.encode("utf-8"), 0)
    return handle


def find_holder(path: Path) -> str:
    """What the present holder wrote, or an empty text where the lock is free."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except OSError:
        return os.pread(handle, 200, 0).decode("utf-8", errors="replace") or "another run"
    finally:
        os.close(handle)


@contextmanager
def held(path: Path, holder: str = "", refusal: str = "Somebody else is at it.") -> Iterator[int]:
    """Holds the lock for a block."""
    handle = take_lock(path, holder, refusal)
    try:
        yield handle
    finally:
        os.close(handle)
