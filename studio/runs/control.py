"""Starts, stops and resumes runs, and brings what disk says in line with what lives."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from backends.contract.config import Config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings, read_launch
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.datasets.watch import Stopped
from studio.runs.hardware import probe_hardware
from studio.runs.launch_checks import require_launch
from studio.runs.launchers.choose import find_launcher
from studio.runs.launchers.protocol import Order
from studio.runs.locks import device_lock, find_holder, held
from studio.runs.reading import Reading
from studio.runs.state import ACTIVE, is_watched, read_process, read_run_config, read_state
from studio.runs.store import RunInfo, RunStore
from studio.workspace import Workspace

MAX_FRUITLESS = 3
log = logging.getLogger(__name__)


def start_run(workspace: Workspace, run_id: str, *, grace_s: float | None = None, command: list[str] | None = None) -> None:
    """Starts a run that was created and never started; comes back when its supervisor watches over it.

    Args:
        workspace: Where the run lies.
        run_id: Its id.
        grace_s: How long Stop waits before it ends the processes; None for what suits the launcher.
        command: What to start instead of the trainer that the settings ask for (a launcher of one's own).

    Raises:
        DarkroomError: When it was started before, or another run has the device.
    """
    run = RunDir(workspace.run(run_id))
    with held(_run_lock(workspace, run_id), run_id, "This run is being started at this moment."):
        if read_process(run):
            raise DarkroomError(f"The run “{run_id}” has already been started. Resume goes on with it; a new run begins afresh.")
        _launch(workspace, run_id, grace_s=grace_s, command=command)


def resume_run(
    workspace: Workspace, run_id: str, *, anyway: bool = False, grace_s: float | None = None, command: list[str] | None = None
) -> None:
    """Goes on with a run from its newest complete checkpoint, or from the beginning where it has none.

    Args:
        workspace: Where the run lies.
        run_id: Its id.
        anyway: Try once more although it failed several times without getting any further.
        grace_s: How long Stop waits before it ends the processes; None for what suits the launcher.
        command: What to start instead of the trainer that the settings ask for.

    Raises:
        DarkroomError: When it runs, has finished, keeps failing at the same place, or another run has the device.
    """
    run = RunDir(workspace.run(run_id))
    with held(_run_lock(workspace, run_id), run_id, "This run is being started at this moment."):
        reconcile_run(workspace, run_id)
        state = read_state(run)
        if state.state in ACTIVE:
            raise DarkroomError(f"The run “{run_id}” is {state.state}; there is nothing to resume. Stop it first.")
        if state.state == "finished":
            raise DarkroomError(f"The run “{run_id}” has finished at step {state.step}. To train longer, start a new run with more steps.")
        fruitless = count_fruitless(read_process(run))
        if fruitless >= MAX_FRUITLESS and not anyway:
            last = max(complete_checkpoints(run), default=0)
            raise DarkroomError(
                f"The run “{run_id}” ended {fruitless} times in a row without getting past step {last}; once more would end the same way. "
                f"The last time: {state.reason} Start a new run with other settings."
            )
        _launch(workspace, run_id, grace_s=grace_s, command=command, resume=True)


def count_fruitless(process: dict[str, Any]) -> int:
    """How many attempts in a row failed without one new checkpoint."""
    count = 0
    for attempt in reversed([*process.get("history", []), process]):
        grown = int(attempt.get("checkpoint") or 0) > int(attempt.get("checkpoint_before") or 0)
        if grown or attempt.get("state") not in ("crashed", "failed"):
            break
        count += 1
    return count


def stop_run(workspace: Workspace, run_id: str) -> None:
    """Asks a run to save and end; a second time changes nothing, nor does it for a run that has ended."""
    run = RunDir(workspace.run(run_id))
    state = read_state(run)
    if state.state not in ACTIVE:
        reconcile_run(workspace, run_id)
        return
    run.control.mkdir(exist_ok=True)
    run.stop_request.touch()
    reconcile_run(workspace, run_id)  # a run without its supervisor gets a new one, which sees the request


def request_sample(workspace: Workspace, run_id: str) -> None:
    """Asks a run to draw its sample prompts after the current step.

    Raises:
        DarkroomError: When it is not running.
    """
    run = RunDir(workspace.run(run_id))
    state = read_state(run)
    if state.state not in ("starting", "running"):
        raise DarkroomError(f"The run “{run_id}” is {state.state}; samples can be drawn only while it runs. Generate draws with its LoRA.")
    run.control.mkdir(exist_ok=True)
    run.sample_request.touch()


def reconcile(workspace: Workspace) -> dict[str, str]:
    """Brings every run in line with what lives: adopts what still trains, marks what is gone. To be called when an app starts.

    Returns:
        The state of each run that has been started.
    """
    states = {}
    for folder in sorted(workspace.runs.iterdir()):
        if (folder / "process.json").is_file():
            try:
                reconcile_run(workspace, folder.name)
                states[folder.name] = read_state(RunDir(folder)).state
            except DarkroomError as error:
                log.warning("run %s: %s", folder.name, error.text)
    return states


def reconcile_run(workspace: Workspace, run_id: str) -> None:
    """The same for one run. Never signals a process: an end is only written down."""
    run = RunDir(workspace.run(run_id))
    process = read_process(run)
    if not process or process.get("ended") or is_watched(process):
        return
    find_launcher(str(process.get("launched_by", "local"))).tend(run, process)


def find_busy_run(workspace: Workspace) -> str:
    """Id of the run that has this machine's device now, or an empty text."""
    return find_holder(device_lock(workspace, probe_hardware().device))


def _run_lock(workspace: Workspace, run_id: str) -> Path:
    return device_lock(workspace, f"run-{run_id}")


def _launch(workspace: Workspace, run_id: str, *, grace_s: float | None, command: list[str] | None, resume: bool = False) -> None:
    run = RunDir(workspace.run(run_id))
    config, launch = read_run_config(run), read_launch(run)
    if not command:
        require_launch(config, launch)
    find_launcher(launch.launcher).start(Order(workspace, run, config, launch, grace_s=grace_s, command=command, resume=resume))


def begin_run(
    workspace: Workspace,
    *,
    dataset_id: str,
    preset_key: str,
    name: str,
    backend: str,
    config: Config,
    launch: LaunchSettings | None = None,
    reading: Reading | None = None,
) -> RunInfo:
    """Makes a run and starts it; where it cannot be started, nothing of it stays.

    Raises:
        Stopped: When the watch of `reading` is told to end.
        ConfigFaults: When it cannot train where the launch settings say.
        DarkroomError: When the data set is not whole, or another run has the device.
    """
    store = RunStore(workspace)
    info = store.create(
        dataset_id=dataset_id, preset_key=preset_key, name=name, backend=backend, config=config, launch=launch, reading=reading
    )
    try:
        if reading is not None:
            reading.watch.require_going()
        start_run(workspace, info.id)
    except (DarkroomError, Stopped):
        store.delete(info.id)
        raise
    return store.get(info.id)
