"""Everything that would stop or spoil a run, found before anything starts, all at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract.aitoolkit import check_run_folder, find_ai_toolkit
from backends.contract.config import Config, ConfigFaults, Fault, parse_config
from backends.contract.division import count_pieces
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.registry import find_backend
from studio.runs.base_faults import check_base
from studio.runs.command import OWN_TRAINER, trainer_of
from studio.runs.control import find_busy_run
from studio.runs.cost import find_model_cost
from studio.runs.data_faults import check_data, check_folders
from studio.runs.extra_packages import find_extra_packages, is_installed
from studio.runs.forecast import Forecast, compute_forecast
from studio.runs.gpu_needs import find_gpu_needs
from studio.runs.hardware import Hardware, probe_hardware
from studio.runs.presets import fill_prompts
from studio.runs.speeds import find_speed
from studio.workspace import Workspace


@dataclass(frozen=True)
class Preflight:
    """What was found. A run may start where `faults` is empty; `warnings` only want to be read."""

    config: Config | None
    faults: list[Fault] = field(default_factory=list)
    forecast: Forecast | None = None
    warnings: list[Fault] = field(default_factory=list)


def run_preflight(
    workspace: Workspace, dataset_id: str, backend_name: str, values: dict[str, Any], launch: LaunchSettings | None = None
) -> Preflight:
    """Looks at settings, data set, machine and base model together.

    Args:
        workspace: Where data sets and runs lie.
        dataset_id: The data set to learn from.
        backend_name: family/method.
        values: Settings as they come from a form, a preset or a command line.
        launch: How several GPUs share it; each keeps the whole model when not given.
    """
    hardware = probe_hardware()
    faults: list[Fault] = []
    warnings: list[Fault] = []
    config: Config | None = None
    try:
        config = parse_config(find_backend(backend_name).config, fill_prompts(values))
    except ConfigFaults as error:
        faults += error.faults
    except DarkroomError as error:
        faults.append(Fault(field="backend", text=error.text))
    number = check_data(workspace, dataset_id, config, faults, warnings)
    if config is None:
        _check_machine_is_free(workspace, faults)
        return Preflight(None, faults)
    check_folders(config, faults)
    if trainer_of(config) == OWN_TRAINER:
        beyond = set() if hardware.gpus else set(describe_gpu_needs(config).values())  # no package would help
        faults += [Fault(field=field, text=text) for text, field in describe_missing_packages(config).items() if field not in beyond]
    else:
        _check_ai_toolkit(workspace, faults)
    _check_switches(config, hardware, faults)
    known = check_base(config, faults)
    forecast = None
    if number:
        forecast = forecast_run(workspace, config, number, count_pieces(config, launch or LaunchSettings()))
        if forecast.problem and known:  # what an unknown model would need is nothing to tell
            faults.append(Fault(field=_field_of_problem(config, hardware, forecast), text=forecast.problem))
    _check_memory_now(config, hardware, forecast, warnings)
    _check_room_for_encoded(forecast, warnings)
    _check_machine_is_free(workspace, faults)
    return Preflight(config, faults, forecast, warnings)


def forecast_run(workspace: Workspace, config: Config, num_pictures: int, pieces: int = 1) -> Forecast:
    """The forecast alone, with what past runs on this machine measured; for a form that changes with every key."""
    known = find_speed(workspace, config)
    return compute_forecast(config, num_pictures, probe_hardware(), free_disk(workspace.runs), measured_step_s=known, pieces=pieces)


def free_disk(folder: Path) -> float:
    """Bytes free where `folder` lies."""
    return float(shutil.disk_usage(folder).free)


def _check_ai_toolkit(workspace: Workspace, faults: list[Fault]) -> None:
    """It brings its own packages; whether they are there `setup aitoolkit` has looked."""
    try:
        check_run_folder(workspace.runs)
        find_ai_toolkit(workspace.root)
    except DarkroomError as error:
        faults.append(Fault(field="backend", text=error.text))


def _check_switches(config: Any, hardware: Hardware, faults: list[Fault]) -> None:
    if not hardware.gpus:
        faults += [Fault(field=field, text=text) for text, field in describe_gpu_needs(config).items()]
    if hardware.gpus and config.num_processes > len(hardware.gpus):
        text = f"GPUs is {config.num_processes}; this machine has {len(hardware.gpus)}. Set it to {len(hardware.gpus)} or less."
        faults.append(Fault(field="num_processes", text=text))


def describe_gpu_needs(config: Any) -> dict[str, str]:
    """What is told on a machine without a GPU of settings that need one: sentence -> field."""
    return {f"{need.said}, which needs a GPU; here there is none. {need.way}.": need.field for need in find_gpu_needs(config)}


def describe_missing_packages(config: Any) -> dict[str, str]:
    """What is told of packages that are not in this environment: sentence -> field."""
    return {
        f"{p.said}, but {p.name} is not installed. {p.way}, or install it (pip install {p.name}).": p.field
        for p in find_extra_packages(config)
        if p.needed and not is_installed(p.name)
    }


def _field_of_problem(config: Any, hardware: Hardware, forecast: Forecast) -> str:
    if find_model_cost(config).needs_gpu_gb and not hardware.gpus:
        return "pretrained_model_name_or_path"
    return "train_batch_size" if forecast.memory_need_gb > forecast.memory_total_gb else "checkpointing_steps"


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
