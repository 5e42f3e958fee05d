"""Runs in a cloud of one's choice: SkyPilot gets a machine, brings the run there, and its results come back while it trains."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

from backends.contract import files
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir
from studio.runs.command import REPOSITORY
from studio.runs.launchers.following import launch_follower
from studio.runs.launchers.protocol import Order
from studio.runs.launchers.sky_task import name_cluster, write_task
from studio.runs.processes import is_alive, read_identity

GRACE_S = 300.0  # the wish travels there, the trainer saves, and what it saved travels back
IDLE_MIN = 10


class SkyLauncher:
    """Starts runs with `sky launch`. The machine is given back as soon as the run has ended."""

    def start(self, order: Order) -> None:
        """Writes task.yaml and starts the process that gets the machine and follows the run.

        Raises:
            DarkroomError: When nothing large enough can be asked for.
        """
        run = order.run
        write_task(run, order.config, order.launch, secrets=list_secrets(order.launch), resume=order.goes_on)
        order.clear_requests()
        name = name_cluster(run)
        files.write_json(run.job, {"launcher": "skypilot", "id": name, "phase": "queued", "words": "A machine is being made ready."})
        grace_s = GRACE_S if order.grace_s is None else order.grace_s
        launch_follower(run, {**_plan(run), "grace_s": grace_s, "seconds_before": order.seconds_before})

    def tend(self, run: RunDir, process: dict[str, Any]) -> None:
        """Goes on following: the machine in the cloud trains whether or not somebody looks.

        Only the process that brings the results here counts; one that shows the log may outlive it.
        """
        if is_alive(read_identity(process.get("launcher"))):
            launch_follower(run, {})
        else:
            launch_follower(run, {**_plan(run, "--attach"), "seconds_before": float(process.get("seconds_before", 0.0))})


def list_secrets(launch: LaunchSettings) -> list[str]:
    """Those of the named secrets that the studio's own environment has."""
    return [name for name in launch.sky_secrets if os.environ.get(name)]


def launch_command(run: RunDir, launch: LaunchSettings) -> list[str]:
    """`sky launch` for the run's task.yaml; the values of secrets come from the environment, never from the command line."""
    handed = [part for name in list_secrets(launch) for part in ("--secret", name)]
    flags = ["-y", "-d", "-c", name_cluster(run), "-i", str(IDLE_MIN), "--down"]
    return ["sky", "launch", *flags, *handed, str(run.root / "task.yaml")]


def format_launch(run: RunDir, launch: LaunchSettings) -> str:
    """The same as one line to copy."""
    return shlex.join(launch_command(run, launch))


def _plan(run: RunDir, *flags: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return {
        "command": [sys.executable, "-m", "studio.runs.launchers.sky_run", *flags, str(run.root)],
        "environment": environment,
        "cwd": str(REPOSITORY),
        "device": "",
        "launched_by": "skypilot",
    }
