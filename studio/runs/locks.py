"""One run at a time on a device, also over several apps: a lock that the kernel frees when its holder dies."""

from __future__ import annotations

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
    with _gate(path):
        if not _try(handle, fcntl.LOCK_EX):
            other = _read(handle)
            os.close(handle)
            raise Busy(refusal.replace("{holder}", other), other)
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode("utf-8"), 0)
    return handle


def find_holder(path: Path) -> str:
    """What the present holder wrote, or an empty text where the lock is free."""
    if not path.exists():
        return ""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        with _gate(path):
            if not _try(handle, fcntl.LOCK_SH):
                return _read(handle)
            fcntl.flock(handle, fcntl.LOCK_UN)
            return ""
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


@contextmanager
def _gate(path: Path) -> Iterator[None]:
    """Whoever takes the lock or looks at it goes in alone, for a moment: a look must never make a start fail."""
    handle = os.open(path.with_suffix(".gate"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(handle: int) -> str:
    return os.pread(handle, 200, 0).decode("utf-8", errors="replace") or "another run"
