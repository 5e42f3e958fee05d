"""Starts the process that follows a run: it outlives the app, and no pipe ties the two together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.runs.command import REPOSITORY

SUPERVISOR = "studio.runs.supervisor"


def launch_follower(run: RunDir, plan: dict[str, Any], *, keep: tuple[int, ...] = (), module: str = SUPERVISOR) -> None:
    """Starts a follower that outlives this process, and comes back when it has written process.json.

    Args:
        run: Folder of the run.
        plan: command, environment, cwd, device, grace_s; empty to adopt a run that already goes.
        keep: Handles that the follower inherits: the lock of the device, held until the run has ended.
        module: What follows.

    Raises:
        DarkroomError: When it did not start; names the log.
    """
    heard, told = os.pipe()
    command = [sys.executable, "-m", module, str(run.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))}
    run.control.mkdir(exist_ok=True)
    try:
        with (run.control / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=REPOSITORY,
                pass_fds=(told, *keep),
                start_new_session=True,
            )
        process.communicate(json.dumps({**plan, "ready_fd": told, "locks": keep}).encode())
        os.close(told)
        told = -1
        ready = os.read(heard, 1)  # ends without a byte where the follower died first
    finally:
        os.close(heard)
        if told >= 0:
            os.close(told)
    if not ready and plan.get("command"):
        raise DarkroomError(f"The run could not be started. What happened stands in {run.control / 'supervisor.log'}.")
