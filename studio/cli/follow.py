"""Follows a run from outside: reads its events and shows them as progress until it ends."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.progress import Progress, TaskID

from backends.contract.errors import DarkroomError
from backends.contract.events import read_bytes
from backends.contract.rundir import RunDir
from studio.cli.context import Studio
from studio.cli.output import bar, escape, people
from studio.runs.control import reconcile_run
from studio.runs.store import RunInfo

ENDED = ("finished", "stopped", "failed", "crashed", "interrupted")
POLL_S = 0.3


def follow_run(studio: Studio, run_id: str, *, quiet: bool) -> RunInfo:
    """Waits until the run has ended; the run as it then stands. Ctrl+C leaves the run alone.

    Raises:
        DarkroomError: When it failed or crashed, with its reason.
    """
    run = RunDir(studio.workspace.run(run_id))
    offset = run.events.stat().st_size if run.events.exists() and studio.runs.get(run_id).state in ENDED else 0
    with bar(quiet=quiet) as progress:
        task = progress.add_task("Starting", total=studio.runs.get(run_id).max_steps or None)
        while True:
            data, offset = read_bytes(run.events, offset)
            for line in data.splitlines():
                _show(progress, task, json.loads(line), quiet=quiet)
            reconcile_run(studio.workspace, run_id)  # a cluster's job is followed again where its follower has died
            info = studio.runs.get(run_id)
            if info.state == "queued":
                progress.update(task, description="In the queue")
            if info.state in ENDED and not data:
                break
            time.sleep(POLL_S)
    if info.state not in ("finished", "stopped"):
        raise DarkroomError(f"The run {run_id} {info.state}: {info.reason or 'see its log'}. Its log: {run.log}")
    return info


def _show(progress: Progress, task: TaskID, event: dict[str, Any], *, quiet: bool) -> None:
    kind = event["t"]
    if kind == "phase" and event.get("phase") != "training":
        words = {"loading": "Loading the base model", "caching": "Encoding pictures", "sampling": "Drawing samples", "saving": "Saving"}
        progress.update(task, description=words.get(event["phase"], event["phase"].capitalize()))
    elif kind == "step":
        progress.update(task, completed=event["step"], description=f"Training, loss {event['loss']:.3f}")
    elif kind == "eval" and not quiet:
        progress.console.print(f"  step {event['step']}: held-out loss {event['loss']:.4f}")
    elif kind == "notice" and not quiet:
        people.print(f"  {escape(event['text'])}")
