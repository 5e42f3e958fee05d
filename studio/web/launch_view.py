"""What stands in “Where it runs” on the Train page, worked out without Gradio: faults, the exact commands, what is handed in."""

from __future__ import annotations

import shutil
from typing import Any

from backends.contract.config import Config, ConfigFaults, parse_config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir
from studio.runs.command import format_lines
from studio.runs.launch_checks import check_launch, hardware_for
from studio.runs.launchers.sky_task import format_task
from studio.runs.launchers.skypilot import format_launch, list_secrets
from studio.runs.launchers.slurm_script import format_script
from studio.workspace import Workspace, new_id

LAUNCHERS = (("This machine", "local"), ("Slurm cluster", "slurm"), ("Cloud", "skypilot"))
UNFIT = {"num_machines", "machine_rank", "main_process_ip"}  # with these wrong there is no command to show
FIELDS = tuple(LaunchSettings.model_fields)


def parse_launch(values: dict[str, Any]) -> LaunchSettings:
    """The launch settings among values as a form or a command line gives them; other names are left alone.

    Raises:
        ConfigFaults: With every fault at its field.
    """
    return parse_config(LaunchSettings, {k: v for k, v in values.items() if k in FIELDS})


def describe_launch(workspace: Workspace, config: Config | None, values: dict[str, Any], run_name: str) -> dict[str, Any]:
    """What the section shows for what stands on the form.

    Args:
        workspace: Where the run would lie.
        config: The training settings, or None while they are not right; then only faults are told.
        values: The launch settings as the form gives them.
        run_name: The run's name, for the paths in the commands.

    Returns:
        launcher; many (whether several machines take part); faults, each with field and text; commands, each with title and
        line; file (name and text of what is handed in, or None); note, one sentence on what has to be so.
    """
    try:
        launch = parse_launch(values)
    except ConfigFaults as wrong:
        return _shown(str(values.get("launcher") or "local"), faults=[f.model_dump() for f in wrong.faults])
    if config is None:
        return _shown(launch.launcher, many=launch.num_machines > 1)
    run = RunDir(workspace.runs / new_id(run_name or "run", workspace.runs))
    faults = [f.model_dump() for f in check_launch(config, launch)]
    shown = _shown(launch.launcher, many=launch.num_machines > 1, faults=faults)
    if {f["field"] for f in faults} & UNFIT:
        return shown
    try:
        return shown | _describe(workspace, run, config, launch)
    except DarkroomError as error:
        return {**shown, "faults": [*faults, {"field": error.field or "launcher", "text": error.text}]}


def _shown(launcher: str, *, many: bool = False, faults: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"launcher": launcher, "many": many, "faults": faults or [], "commands": [], "file": None, "note": ""}


def _describe(workspace: Workspace, run: RunDir, config: Config, launch: LaunchSettings) -> dict[str, Any]:
    if launch.launcher == "slurm":
        text = format_script(
            run, config, launch, cache=workspace.cache / "latents", name=f"darkroom-{run.root.name}", resume=False, command=None
        )
        note = f"Every machine of the cluster must see {workspace.root} and Darkroom’s own folder at the same place."
        return {"commands": [_line("", f"sbatch {run.root / 'job.sbatch'}")], "file": {"name": "job.sbatch", "text": text}, "note": note}
    if launch.launcher == "skypilot":
        text = format_task(run, config, launch, secrets=list_secrets(launch))
        note = "The machine is given back as soon as the run has ended; what it made comes back while it trains."
        if not shutil.which("sky"):
            note = (
                "SkyPilot is not here. In an environment of its own: pip install skypilot, then sky check. With sky on the PATH, Start "
                "does the rest; elsewhere, the file and the line below do it by hand."
            )
        return {"commands": [_line("", format_launch(run, launch))], "file": {"name": "task.yaml", "text": text}, "note": note}
    hardware = hardware_for(config, launch)
    note = ""
    if launch.num_machines > 1:
        here = f"Start here starts machine {launch.machine_rank}."
        note = f"{here} On each other one run its line in Darkroom’s folder; all must see {workspace.root}."
    return {"commands": [_line(title, line) for title, line in format_lines(config, run.root, launch, hardware)], "note": note}


def _line(title: str, line: str) -> dict[str, str]:
    return {"title": title, "line": line}
