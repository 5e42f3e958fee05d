"""Work that goes on in a thread of the studio while pages come and go; how far it is stands in a file."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.workers.client import Call, Cancelled

log = logging.getLogger(__name__)
_WRITE_EVERY_S = 0.25
_tokens = itertools.count(1)


class Job:
    """One piece of work. Its status file holds `state` (running | done | failed | cancelled), `reason` and what `update` gave."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self._path = path
        self._values = {"state": "running", "reason": "", "started": time.time(), "owner": _owner(), **values}
        self._lock = threading.Lock()
        self._written = 0.0
        self._call: Call | None = None
        self._superseded = False
        self.cancelled = threading.Event()

    @property
    def values(self) -> dict[str, Any]:
        """A copy of what the status file says, or will say."""
        with self._lock:
            return dict(self._values)

    def update(self, *, now: bool = True, **values: Any) -> None:
        """Changes the status; `now=False` lets the file wait a moment, for progress that comes often."""
        with self._lock:
            self._values.update(values)
            if self._superseded or (not now and time.monotonic() - self._written < _WRITE_EVERY_S):
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(self._path, self._values)
            self._written = time.monotonic()

    def follow(self, call: Call) -> Call:
        """The call, which ends when the job is cancelled."""
        self._call = call
        if self.cancelled.is_set():
            call.cancel()
        return call

    def cancel(self) -> None:
        """Ends the work at its next step."""
        self.cancelled.set()
        if self._call:
            self._call.cancel()

    def supersede(self) -> None:
        """Cancels, and leaves the status file to the next job."""
        with self._lock:
            self._superseded = True
        self.cancel()

    def run(self, work: Callable[[Job], None]) -> None:
        """Does the work in this thread and writes how it ended."""
        try:
            work(self)
        except Cancelled:
            self._end("cancelled")
        except DarkroomError as error:
            self._end("failed", error.text)
        except Exception as error:  # noqa: BLE001 - the thread's edge: a page must learn of it, and the studio go on
            log.exception("job %s failed", self._path)
            self._end("failed", f"It went wrong inside: {type(error).__name__}: {str(error)[:300]}")
        else:
            self._end("done")

    def _end(self, state: str, reason: str = "") -> None:
        try:
            self.update(state=state, reason=reason, seconds_left=0)
        except OSError as error:  # a full disk or a deleted run: nothing left to tell it to but the log
            log.warning("the status %s cannot be written: %s", self._path, error)


class JobBoard:
    """Starts jobs, at most one a key, and tells how far they are, also after the studio was started anew."""

    def __init__(self) -> None:
        self._jobs: dict[Path, Job] = {}
        self._lock = threading.Lock()

    def start(self, path: Path, values: dict[str, Any], work: Callable[[Job], None]) -> None:
        """Begins `work` with its status in `path`; a job under way there is cancelled and makes room."""
        job = Job(path, values)
        with self._lock:
            before = self._jobs.get(path)
            if before:
                before.supersede()
            self._jobs[path] = job
            job.update()
        threading.Thread(target=job.run, args=(work,), name=f"job {path.stem} {next(_tokens)}", daemon=True).start()

    def status(self, path: Path) -> dict[str, Any] | None:
        """What the status says, or None where there is none. Work that died with its studio counts as interrupted."""
        with self._lock:
            job = self._jobs.get(path)
        if job:
            return job.values
        values = files.read_json(path)
        if isinstance(values, dict) and values.get("state") == "running" and not _lives(values.get("owner")):
            values |= {"state": "interrupted", "reason": "The studio was closed while this was under way."}
        return values if isinstance(values, dict) else None

    def cancel(self, path: Path) -> None:
        """Ends the job at its next step; nothing happens where there is none."""
        with self._lock:
            job = self._jobs.get(path)
        if job:
            job.cancel()


def _owner() -> dict[str, Any]:
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def _lives(owner: Any) -> bool:
    """Whether another process owns it; in our own the job would have been found."""
    if not isinstance(owner, dict) or owner.get("pid") in (None, os.getpid()):
        return False
    try:
        return abs(psutil.Process(int(owner["pid"])).create_time() - float(owner["created"])) < 1
    except (psutil.Error, ValueError, KeyError):
        return False
