"""The preflight of a run that may train elsewhere: what this machine lacks is no fault of a cluster's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backends.contract.config import ConfigFaults, Fault, parse_config
from backends.contract.division import count_pieces
from backends.contract.launch import LaunchSettings
from studio.datasets.store import DatasetStore
from studio.runs.forecast import Forecast, compute_forecast
from studio.runs.hardware import probe_hardware
from studio.runs.launch_checks import check_launch, hardware_for
from studio.runs.preflight import Preflight, describe_gpu_needs, describe_missing_packages, forecast_run, free_disk, run_preflight
from studio.workspace import Workspace

_OF_THIS_MACHINE = ("machine", "num_processes")


def preflight_launch(
    workspace: Workspace, dataset_id: str, backend_name: str, values: dict[str, Any], launch_values: dict[str, Any]
) -> tuple[Preflight, LaunchSettings]:
    """Everything that would stop or spoil a run where its launch settings say, all at once.

    Args:
        workspace: Where data sets and runs lie.
        dataset_id: The data set to learn from.
        backend_name: family/method.
        values: Training settings as they come from a form, a preset or a command line.
        launch_values: Launch settings, likewise.
    """
    try:
        launch = parse_config(LaunchSettings, launch_values)
    except ConfigFaults as wrong:
        found = run_preflight(workspace, dataset_id, backend_name, values)
        return replace(found, faults=[*found.faults, *wrong.faults]), LaunchSettings()
    found = run_preflight(workspace, dataset_id, backend_name, values, launch)
    config = found.config
    if config is None:
        return found, launch
    if not launch.is_local:
        found = _look_there(workspace, dataset_id, found, launch)
    elif launch.num_machines > 1:  # the processes are shared, so this machine needs fewer GPUs than there are processes
        found = replace(found, faults=[f for f in found.faults if f.field != "num_processes"])
    return replace(found, faults=[*found.faults, *check_launch(config, launch)]), launch


def forecast_launch(workspace: Workspace, config: Any, num_pictures: int, launch: LaunchSettings) -> Forecast:
    """What the run will take where it trains: on this machine with what past runs measured, elsewhere by what is asked for there."""
    pieces = count_pieces(config, launch)
    if launch.is_local:
        return forecast_run(workspace, config, num_pictures, pieces)
    disk = launch.sky_disk_gb * 1e9 if launch.launcher == "skypilot" else free_disk(workspace.runs)
    return compute_forecast(config, num_pictures, hardware_for(config, launch, probe_hardware()), disk, pieces=pieces)


def _look_there(workspace: Workspace, dataset_id: str, found: Preflight, launch: LaunchSettings) -> Preflight:
    """The same, with the machine that will train in the place of this one."""
    assert found.config is not None
    problem = found.forecast.problem if found.forecast else ""
    here = {problem, *describe_gpu_needs(found.config)} - {""}
    if launch.launcher == "skypilot" or launch.slurm_venv:  # an environment of its own, which the first of them brings up itself
        here |= set(describe_missing_packages(found.config))
    faults = [f for f in found.faults if f.field not in _OF_THIS_MACHINE and f.text not in here]
    forecast = None
    if found.forecast:
        info = DatasetStore(workspace).info(dataset_id)
        forecast = forecast_launch(workspace, found.config, info.num_pictures - info.num_incomplete, launch)
        if forecast.problem and hardware_for(found.config, launch, probe_hardware()).gpus:
            faults.append(Fault(field="gpus_per_machine", text=forecast.problem))
    return replace(found, faults=faults, forecast=forecast, warnings=[w for w in found.warnings if "of the GPU are free now" not in w.text])
