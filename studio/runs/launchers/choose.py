"""Which launcher has which name."""

from __future__ import annotations

from studio.runs.launchers.local import LocalLauncher
from studio.runs.launchers.protocol import Launcher
from studio.runs.launchers.skypilot import SkyLauncher
from studio.runs.launchers.slurm import SlurmLauncher

LAUNCHERS: dict[str, Launcher] = {"local": LocalLauncher(), "slurm": SlurmLauncher(), "skypilot": SkyLauncher()}


def find_launcher(name: str) -> Launcher:
    """The launcher that `LaunchSettings.launcher` or process.json names; this machine's for a name of a newer studio."""
    return LAUNCHERS.get(name, LAUNCHERS["local"])
