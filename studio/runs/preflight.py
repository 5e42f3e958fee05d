"""Everything that would stop or spoil a run, here or where else it trains, found before anything starts, all at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.contract.aitoolkit import check_run_folder, find_ai_toolkit
from backends.contract.config import Config, ConfigFaults, Fault, parse_config
from backends.contract.division import count_pieces
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.registry import find_backend
from studio.datasets.report import read_summary
from studio.datasets.store import DatasetStore
from studio.runs.base_faults import check_base
from studio.runs.command import OWN_TRAINER, trainer_of
from studio.runs.control import find_busy_run
from studio.runs.cost import find_model_cost
from studio.runs.data_faults import check_data, check_folders
from studio.runs.extra_packages import find_extra_packages, is_installed
from studio.runs.forecast import Forecast, compute_forecast
from studio.runs.gpu_needs import find_gpu_needs
from studio.runs.hardware import Hardware, probe_hardware
from studio.runs.launch_checks import check_launch, hardware_for
from studio.runs.presets import fill_prompts
from studio.runs.reading import Reading
from studio.runs.speeds import find_speed
from studio.workspace import Workspace


@dataclass(frozen=True)
class Preflight:
    """What was found. A run may start where `faults` is empty; `warnings` only want to be read."""

    config: Config | None
    faults: list[Fault] = field(default_factory=list)
    forecast: Forecast | None = None
    warnings: list[Fault] = field(default_factory=list)


def preflight_launch(
    workspace: Workspace,
    dataset_id: str,
    backend_name: str,
    values: dict[str, Any],
    launch_values: dict[str, Any],
    reading: Reading | None = None,
) -> tuple[Preflight, LaunchSettings]:
    """Everything that would stop or spoil a run where its launch settings say, all at once.

    Args:
        workspace: Where data sets and runs lie.
        dataset_id: The data set to learn from.
        backend_name: family/method.
        values: Training settings as they come from a form, a preset or a command line.
        launch_values: Launch settings, likewise.
        reading: Keeps the rows, for a run that starts now.
    """
    try:
        launch = parse_config(LaunchSettings, launch_values)
    except ConfigFaults as wrong:
        found = run_preflight(workspace, dataset_id, backend_name, values, reading=reading)
        return replace(found, faults=[*found.faults, *wrong.faults]), LaunchSettings()
    found = run_preflight(workspace, dataset_id, backend_name, values, launch, reading)
    wrong_there = check_launch(found.config, launch) if found.config else []
    return replace(found, faults=[*found.faults, *wrong_there]), launch


def run_preflight(
    workspace: Workspace,
    dataset_id: str,
    backend_name: str,
    values: dict[str, Any],
    launch: LaunchSettings | None = None,
    reading: Reading | None = None,
) -> Preflight:
    """Looks at settings, data set, machine and base model together. What this machine lacks is no fault where another one trains.

    Args:
        workspace: Where data sets and runs lie.
        dataset_id: The data set to learn from.
        backend_name: family/method.
        values: Settings as they come from a form, a preset or a command line.
        launch: Where it trains and how GPUs share it; alone on this machine when not given.
        reading: Keeps the rows, for a run that starts now.
    """
    launch = launch or LaunchSettings()
    faults: list[Fault] = []
    warnings: list[Fault] = []
    config: Config | None = None
    try:
        config = parse_config(find_backend(backend_name).config, fill_prompts(values))
    except ConfigFaults as error:
        faults += error.faults
    except DarkroomError as error:
        faults.append(Fault(field="backend", text=error.text))
    number = check_data(workspace, dataset_id, config, faults, warnings, reading)
    forecast = None
    if config is not None:
        check_folders(config, faults)
        _check_environment(workspace, config, launch, faults)
        if launch.is_local:
            _check_switches(config, launch, faults)
        known = check_base(config, faults)
        if number:
            forecast = forecast_launch(workspace, config, number, launch, count_judges(DatasetStore(workspace), dataset_id))
            faults += _problem_faults(config, launch, forecast, known=known)
        if launch.is_local:
            _check_memory_now(config, probe_hardware(), forecast, warnings)
        _check_room_for_encoded(forecast, warnings)
    if launch.is_local:
        _check_machine_is_free(workspace, faults)
    return Preflight(config, faults, forecast, warnings)


def count_judges(store: DatasetStore, dataset_id: str) -> tuple[int, int]:
    """How many a person chose to judge, and how many near copies the last check says judge with them, where it is still right."""
    chosen = store.info(dataset_id).num_judges
    summary = read_summary(store, dataset_id) if chosen else None
    return chosen, summary.along if summary else 0


def forecast_launch(
    workspace: Workspace, config: Config, num_pictures: int, launch: LaunchSettings, judges: tuple[int, int] = (0, 0)
) -> Forecast:
    """What the run will take where it trains: on this machine with what past runs measured, elsewhere by what is asked for there.

    For a form that changes with every key: it reads nothing but past runs' speeds. `judges` is as `count_judges` says it.
    """
    known: dict[str, Any] = {"pieces": count_pieces(config, launch), "chosen": judges[0], "along": judges[1]}
    if launch.is_local:
        speed, free = find_speed(workspace, config), free_disk(workspace.runs)
        return compute_forecast(config, num_pictures, probe_hardware(), free, measured_step_s=speed, **known)
    disk = launch.sky_disk_gb * 1e9 if launch.launcher == "skypilot" else free_disk(workspace.runs)
    return compute_forecast(config, num_pictures, hardware_for(config, launch, probe_hardware()), disk, **known)


def free_disk(folder: Path) -> float:
    """Bytes free where `folder` lies."""
    return float(shutil.disk_usage(folder).free)


def _check_environment(workspace: Workspace, config: Any, launch: LaunchSettings, faults: list[Fault]) -> None:
    if trainer_of(config) != OWN_TRAINER:  # ai-toolkit brings its own packages; whether they are there `setup aitoolkit` has looked
        try:
            check_run_folder(workspace.runs)
            find_ai_toolkit(workspace.root)
        except DarkroomError as error:
            faults.append(Fault(field="backend", text=error.text))
        return
    if launch.launcher == "skypilot" or launch.slurm_venv:  # an environment of its own, which the first of them brings up itself
        return
    lacks_gpu = launch.is_local and not probe_hardware().gpus
    beyond = {need.field for need in find_gpu_needs(config)} if lacks_gpu else set()  # no package would help
    faults += [
        Fault(field=p.field, text=f"{p.said}, but {p.name} is not installed. {p.way}, or install it (pip install {p.name}).")
        for p in find_extra_packages(config)
        if p.needed and not is_installed(p.name) and p.field not in beyond
    ]


def _check_switches(config: Any, launch: LaunchSettings, faults: list[Fault]) -> None:
    """What is asked of this machine that it has not; several machines share the processes, so each needs fewer GPUs."""
    gpus = len(probe_hardware().gpus)
    if not gpus:
        faults += [
            Fault(field=need.field, text=f"{need.said}, which needs a GPU; here there is none. {need.way}.")
            for need in find_gpu_needs(config)
        ]
    elif launch.num_machines == 1 and config.num_processes > gpus:
        text = f"GPUs is {config.num_processes}; this machine has {gpus}. Set it to {gpus} or less."
        faults.append(Fault(field="num_processes", text=text))


def _problem_faults(config: Any, launch: LaunchSettings, forecast: Forecast, *, known: bool) -> list[Fault]:
    """Why it does not fit, at the field that would mend it; of an unknown base model, and of a cluster’s CPUs, nothing is known."""
    if not forecast.problem:
        return []
    if not launch.is_local:
        has_gpus = hardware_for(config, launch, probe_hardware()).gpus
        return [Fault(field="gpus_per_machine", text=forecast.problem)] if has_gpus else []
    if not known:
        return []
    if find_model_cost(config).needs_gpu_gb and not probe_hardware().gpus:
        field = "pretrained_model_name_or_path"
    else:
        field = "train_batch_size" if forecast.memory_need_gb > forecast.memory_total_gb else "checkpointing_steps"
    return [Fault(field=field, text=forecast.problem)]


def _check_memory_now(config: Any, hardware: Hardware, forecast: Forecast | None, warnings: list[Fault]) -> None:
    if not hardware.gpus or forecast is None or forecast.problem:
        return
    free = max(g.free_gb for g in hardware.gpus)
    if forecast.memory_need_gb > free:
        text = f"The run needs {forecast.memory_need_gb:.1f} GB, and {free:.1f} GB of the GPU are free now. Close what else uses it."
        warnings.append(Fault(field="train_batch_size", text=text))


def _check_room_for_encoded(forecast: Forecast | None, warnings: list[Fault]) -> None:
    if forecast is None or forecast.problem or forecast.encoded_gb + forecast.disk_gb < forecast.free_disk_gb:
        return
    text = (
        f"Encoded, the pictures and captions take {forecast.encoded_gb:.0f} GB of disk, and {forecast.free_disk_gb:.0f} GB are free for "
        "them and the run. What an earlier run encoded is used again; else make room, or switch off “Keep encoded pictures”."
    )
    warnings.append(Fault(field="cache_latents", text=text))


def _check_machine_is_free(workspace: Workspace, faults: list[Fault]) -> None:
    busy = find_busy_run(workspace)
    if busy:
        text = f"The run “{busy}” is training on this machine. One run at a time: stop it, or wait until it has ended."
        faults.append(Fault(field="machine", text=text))
