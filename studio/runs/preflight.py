"""Everything that would stop or spoil a run, found before anything starts, all at once."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract.aitoolkit import check_run_folder, find_ai_toolkit
from backends.contract.base_models import resolve_source
from backends.contract.config import Config, ConfigFaults, Fault, parse_config
from backends.contract.division import count_pieces
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.registry import find_backend
from studio.runs.command import OWN_TRAINER, trainer_of
from studio.runs.control import find_busy_run
from studio.runs.cost import find_model_cost
from studio.runs.data_faults import check_data, check_folders
from studio.runs.forecast import Forecast, compute_forecast
from studio.runs.hardware import Hardware, probe_hardware
from studio.runs.presets import fill_prompts
from studio.runs.speeds import find_speed
from studio.workspace import Workspace

OPTIONAL = {
    "use_8bit_adam": ("bitsandbytes", "8-bit Adam"),
    "enable_xformers_memory_efficient_attention": ("xformers", "xFormers attention"),
}
QUANTISERS = {"int8": "torchao", "float8": "torchao", "nf4": "bitsandbytes"}
TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "comet_ml": "comet_ml", "trackio": "trackio"}


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
        _check_packages(config, faults)
    else:
        _check_ai_toolkit(workspace, faults)
    _check_switches(config, hardware, faults)
    known = _check_base_model(config, faults)
    forecast = None
    if number:
        forecast = forecast_run(workspace, config, number, count_pieces(config, launch or LaunchSettings()))
        if forecast.problem and known:  # what an unknown model would need is nothing to tell
            faults.append(Fault(field=_field_of_problem(config, hardware, forecast), text=forecast.problem))
    _check_memory_now(config, hardware, forecast, warnings)
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


def _check_packages(config: Any, faults: list[Fault]) -> None:
    for setting, (package, title) in OPTIONAL.items():
        if getattr(config, setting, False) and setting == "use_8bit_adam" and not _installed(package):
            text = f"{title} is on, but {package} is not installed. Switch it off, or install it with: pip install {package}"
            faults.append(Fault(field=setting, text=text))
    small = getattr(config, "quantize_base", "none")
    package = QUANTISERS.get(small, "")
    if package and not _installed(package):
        text = f"The base model is to be stored as {small}, but {package} is not installed."
        faults.append(Fault(field="quantize_base", text=f"{text} Choose none, or install it with: pip install {package}"))
    package = TRACKERS.get(config.report_to, "")
    if package and not _installed(package):
        text = f"The tracker is {config.report_to}, but {package} is not installed. Choose none, or install it with: pip install {package}"
        faults.append(Fault(field="report_to", text=text))


def _check_switches(config: Any, hardware: Hardware, faults: list[Fault]) -> None:
    if config.mixed_precision == "fp16" and not hardware.gpus:
        text = "Precision is fp16, which needs a GPU; here there is none. Choose no, or leave it empty."
        faults.append(Fault(field="mixed_precision", text=text))
    small = getattr(config, "quantize_base", "none")
    if small == "nf4" and not hardware.gpus:
        text = "The base model is to be stored as nf4, which needs a GPU; here there is none. Choose int8, or none."
        faults.append(Fault(field="quantize_base", text=text))
    if hardware.gpus and config.num_processes > len(hardware.gpus):
        text = f"GPUs is {config.num_processes}; this machine has {len(hardware.gpus)}. Set it to {len(hardware.gpus)} or less."
        faults.append(Fault(field="num_processes", text=text))


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _check_base_model(config: Any, faults: list[Fault]) -> bool:
    """Whether there is such a base model at all, be it in reach or not."""
    known = True
    try:
        _check_source(resolve_source(config.pretrained_model_name_or_path), config, "pretrained_model_name_or_path", faults)
    except DarkroomError as error:
        known = False
        faults.append(Fault(field=error.field or "pretrained_model_name_or_path", text=error.text))
    vae = config.pretrained_vae_model_name_or_path
    if vae and not Path(vae).expanduser().is_dir():
        _check_source(vae, config, "pretrained_vae_model_name_or_path", faults)
    return known


def _check_source(source: str, config: Any, setting: str, faults: list[Fault]) -> None:
    """A model of the hub must be here already, or the hub must be within reach."""
    if Path(source).is_dir() or is_cached(source, config.cache_dir) or not is_offline():
        return
    text = (
        f"{source} is not on this machine and HF_HUB_OFFLINE forbids to fetch it. Choose Pocket, unset HF_HUB_OFFLINE, "
        "or give a folder that holds the model."
    )
    faults.append(Fault(field=setting, text=text))


def is_offline() -> bool:
    """Whether the person has forbidden downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def is_cached(source: str, cache_dir: str | None = None) -> bool:
    """Whether a snapshot of this hub model lies in the download folder."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    folder = Path(cache_dir) if cache_dir else Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return any(folder.expanduser().glob(f"models--{source.replace('/', '--')}/snapshots/*/*"))


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


def _check_machine_is_free(workspace: Workspace, faults: list[Fault]) -> None:
    busy = find_busy_run(workspace)
    if busy:
        text = f"The run “{busy}” is training on this machine. One run at a time: stop it, or wait until it has ended."
        faults.append(Fault(field="machine", text=text))
