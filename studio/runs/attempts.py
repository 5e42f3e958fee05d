"""One attempt at a run as it begins to stand in process.json, whoever starts it: numbered, with what went before."""

from __future__ import annotations

import time
from typing import Any

from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.state import read_process

KEPT = 20
_TOLD = ("began", "ended", "exit_code", "state", "reason", "step", "checkpoint", "checkpoint_before")


def describe_attempt(run: RunDir, *, token: str, command: list[str], device: str, seconds_before: float) -> dict[str, Any]:
    """The record of an attempt that begins now.

    Args:
        run: Folder of the run.
        token: Names everything that belongs to this attempt.
        command: What starts it.
        device: The device that it takes on this machine; empty where it takes none.
        seconds_before: How long the run went on in its earlier attempts.
    """
    before = read_process(run)
    past = [{k: before.get(k) for k in _TOLD}] if before else []
    return {
        "token": token,
        "attempt": int(before.get("attempt", 0)) + 1,
        "history": [*before.get("history", []), *past][-KEPT:],
        "seconds_before": seconds_before,
        "command": command,
        "device": device,
        "began": round(time.time(), 3),
        "events_offset": run.events.stat().st_size if run.events.exists() else 0,
        "log_offset": run.log.stat().st_size if run.log.exists() else 0,
        "checkpoint_before": max(complete_checkpoints(run), default=0),
    }
