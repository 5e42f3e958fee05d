"""Which process is which, and how all processes of a run are found and ended.

A process is named by pid, start time and boot: a pid alone may belong to a stranger after a while. A run's processes
are found by their session and by a token in their environment, because a launcher for several GPUs gives every rank a
session of its own, and `accelerate launch` leaves its trainer behind when it is signalled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

TOKEN = "DARKROOM_RUN_TOKEN"
POLL_S = 0.05


@dataclass(frozen=True)
class Identity:
    """One process, once and for all. `started` is in the kernel's own ticks, so a turned clock changes nothing."""

    pid: int
    started: float
    boot_id: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def read_identity(values: Any) -> Identity | None:
    """The identity that was written as JSON, or None where it is not one."""
    try:
        return Identity(int(values["pid"]), float(values["started"]), str(values["boot_id"]))
    except (KeyError, TypeError, ValueError):
        return None


def boot_id() -> str:
    """Changes with every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None when there is none or only its remains (a zombie)."""
    started = _start_time(pid)
    return None if started is None else Identity(pid, started, boot_id())


def is_alive(identity: Identity | None) -> bool:
    """Whether exactly this process still runs, not another one that got its pid."""
    return identity is not None and identity.boot_id == boot_id() and _start_time(identity.pid) == identity.started


def _start_time(pid: int) -> float | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
        return None if after_name[0] in "ZXx" else float(after_name[19])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def find_members(session: int, token: str) -> list[int]:
    """Pids of the living processes of this session, or with this token in their environment; never the caller's own."""
    own, found = os.getpid(), []
    for pid in psutil.pids():
        if pid != own and pid > 1 and (_in_session(pid, session) or _has_token(pid, token)) and _start_time(pid) is not None:
            found.append(pid)
    return found


def _in_session(pid: int, session: int) -> bool:
    try:
        return session > 0 and os.getsid(pid) == session
    except OSError:
        return False


def _has_token(pid: int, token: str) -> bool:
    try:
        return f"{TOKEN}={token}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def end_members(session: int, token: str, *, patience_s: float = 5.0) -> list[int]:
    """Ends every process of a run: SIGTERM, then after `patience_s` SIGKILL, until none is left.

    Returns:
        Pids that are still there after everything (stuck in the kernel); empty in every ordinary case.
    """
    for number, limit_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + limit_s
        told: set[int] = set()
        while members := find_members(session, token):
            _send(set(members) - told if number == signal.SIGTERM else members, number)
            told |= set(members)
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        if not members:
            return []
    return members


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
