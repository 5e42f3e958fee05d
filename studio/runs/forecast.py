"""What a run will take, before it starts: pictures, steps, minutes, memory, disk, with a reason where it does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backends.contract import schedule
from backends.contract.base_models import find_base_model
from backends.contract.settings.pictures import wants_pairs
from studio.datasets.split import count_held_out
from studio.runs.cost import (
    SAVED_PICTURE_BYTES_PER_PX,
    compute_memory_parts,
    compute_slowdown,
    count_encoded_bytes,
    count_trained,
    estimate_sample_seconds,
    estimate_start_seconds,
    estimate_step_seconds,
    find_model_cost,
)
from studio.runs.hardware import Hardware
from studio.runs.levers import find_pocket, suggest_less_memory

RESERVE_GB = 0.5
NOISE_LEVELS = 8  # at which pictures held out are judged, each once at least
JUDGING_SHARE = 0.05  # of the training time goes into judging


@dataclass(frozen=True)
class Forecast:
    """A run in figures; memory and disk in 10**9 bytes, `lora_mb` in 10**6.

    `basis` says where the time comes from; `problem` is empty where everything fits, else why not and the way out. `encoded_gb` is what
    pictures and captions take once encoded; beside `disk_gb`, because every run on the same pictures uses the same. `pieces` is into how
    many what is trained is divided over GPUs. `chosen` is how many a person chose to judge: then all that is held out, beside near copies
    of them, of which the last check and the start know.
    """

    num_training: int
    num_held_out: int
    steps: int
    passes: float
    seconds: float
    lora_mb: float
    disk_gb: float
    free_disk_gb: float
    memory_total_gb: float
    memory_need_gb: float
    memory_parts: list[tuple[str, float]] = field(default_factory=list)
    problem: str = ""
    basis: str = ""
    checkpoints: int = 0
    encoded_gb: float = 0.0
    pieces: int = 1
    chosen: int = 0


def compute_forecast(
    config: Any,
    num_pictures: int,
    hardware: Hardware,
    free_disk: float,
    *,
    measured_step_s: float | None = None,
    pieces: int = 1,
    chosen: int = 0,
    along: int = 0,
) -> Forecast:
    """The forecast of a run.

    Args:
        config: Checked settings.
        num_pictures: Pictures in the data set.
        hardware: Where it will run.
        free_disk: Bytes free where runs are kept.
        measured_step_s: Seconds a step as a like run on this machine measured it; None before there was one.
        pieces: Into how many what is trained is divided over the GPUs.
        chosen: Of the pictures those that a person chose to judge.
        along: Near copies that are known to judge with them.
    """
    named = chosen and chosen + along
    held_out = named or count_held_out(num_pictures, config.held_out_share)
    training, steps = count_training(config, num_pictures, named), compute_steps(config, num_pictures, named)
    per_step = config.train_batch_size * config.gradient_accumulation_steps * config.num_processes
    step_s, basis = estimate_step_seconds(config, hardware)
    if measured_step_s is not None:
        step_s, basis = measured_step_s, "Measured by your earlier runs on this machine."
    drawn, per_picture = count_samples(config, steps, held_out), estimate_sample_seconds(config, step_s)
    forwards = max(NOISE_LEVELS, JUDGING_SHARE * 3 * config.held_out_every * per_step) if held_out else 0
    judged = (steps // config.held_out_every + 1) * forwards * step_s / compute_slowdown(config) / per_step / 3  # forward: a third
    seconds = estimate_start_seconds(config, num_pictures) + steps * step_s + drawn * per_picture + judged
    parameters = count_trained(config)
    saved = count_checkpoints(config, steps)
    disk = saved * parameters * count_saved_bytes(config) + parameters * 4 + drawn * config.resolution**2 * SAVED_PICTURE_BYTES_PER_PX
    parts = compute_memory_parts(config, hardware, pieces)
    need = sum(size for _, size in parts)
    total = hardware.largest_gpu_gb if hardware.gpus else hardware.memory_gb
    return Forecast(
        num_training=training,
        num_held_out=held_out,
        steps=steps,
        passes=round(steps * per_step / training, 1) if training else 0.0,
        seconds=round(seconds, 1),
        lora_mb=round(parameters * 4 / 1e6, 1),
        disk_gb=round(disk / 1e9, 3),
        free_disk_gb=round(free_disk / 1e9, 1),
        memory_total_gb=round(total, 1),
        memory_need_gb=round(need, 1),
        memory_parts=[(name, round(size, 2)) for name, size in parts],
        problem=find_problem(config, hardware, need, (disk / 1e9, free_disk / 1e9), pieces),
        basis=basis,
        checkpoints=saved,
        encoded_gb=round(count_encoded_bytes(config, num_pictures, pairs=wants_pairs(config)) / 1e9, 3),
        pieces=pieces,
        chosen=chosen,
    )


def count_training(config: Any, num_pictures: int, chosen: int = 0) -> int:
    """Pictures that are learnt from: those not held out, at most as many as the settings allow. `chosen` were held out by a person."""
    training = max(0, num_pictures - (chosen or count_held_out(num_pictures, config.held_out_share)))
    most = getattr(config, "max_train_samples", None)
    return min(training, most) if most else training


def count_samples_a_pass(config: Any, num_pictures: int, chosen: int = 0) -> int:
    """What one pass sees: DreamBooth repeats pictures, and goes on until each of the class was beside one."""
    training = count_training(config, num_pictures, chosen) * getattr(config, "repeats", 1)
    return max(training, config.num_class_images) if getattr(config, "with_prior_preservation", False) and training else training


def count_saved_bytes(config: Any) -> int:
    """Bytes a trained number takes in a checkpoint: itself, the optimizer's moments, and itself again where an average is used."""
    moments = {"AdamW": 2 if config.use_8bit_adam else 8, "prodigy": 16, "schedule_free": 8}[config.optimizer]
    return 4 + moments + (4 if config.use_ema or config.optimizer == "schedule_free" else 0)


def compute_steps(config: Any, num_pictures: int, chosen: int = 0) -> int:
    """How many steps a run takes: the steps asked for, or the passes over the pictures that are learnt from."""
    if config.max_train_steps:
        return int(config.max_train_steps)
    return schedule.compute_steps(
        count_samples_a_pass(config, num_pictures, chosen),
        epochs=config.num_train_epochs,
        batch_size=config.train_batch_size,
        accumulation=config.gradient_accumulation_steps,
        processes=config.num_processes,
    )


def count_checkpoints(config: Any, steps: int) -> int:
    """Checkpoints that lie on disk at the same time."""
    saved = -(-steps // config.checkpointing_steps)
    return min(saved, config.checkpoints_total_limit + 1) if config.checkpoints_total_limit else saved


def count_samples(config: Any, steps: int, held_out: int) -> int:
    """Pictures that are drawn while training, those before the first step included; of pairs only those held out."""
    wanted = len(config.sample_prompts) + min(held_out, getattr(config, "num_sample_pairs", 0))
    return (steps // config.sample_every + 1) * wanted * config.num_sample_seeds if config.sample_every else 0


def find_problem(config: Any, hardware: Hardware, need_gb: float, disk_gb: tuple[float, float], pieces: int = 1) -> str:
    """Why the run does not fit, with the way out; empty where it does. `disk_gb` is what it takes and what is free."""
    base, cost = find_base_model(config.pretrained_model_name_or_path), find_model_cost(config)
    name = base.name if base else config.pretrained_model_name_or_path
    if cost.needs_gpu_gb and not hardware.gpus:
        return (
            f"{name} needs a GPU with {cost.needs_gpu_gb:g} GB or more; here there is none. Choose {find_pocket(config)}, which trains "
            "without one, or run Darkroom on a machine with a GPU."
        )
    total = hardware.largest_gpu_gb if hardware.gpus else hardware.memory_gb
    if need_gb > total:
        place = hardware.name if hardware.gpus else "this machine"
        ways = suggest_less_memory(config, hardware, total, pieces)
        return f"It needs {need_gb:.1f} GB of memory; {place} has {total:.1f} GB. {ways}"
    wanted, free = disk_gb
    if wanted + RESERVE_GB > free:
        return (
            f"It needs {wanted:.1f} GB of disk and leaves {RESERVE_GB:g} GB as a reserve; {free:.1f} GB are free. Make room, "
            "keep fewer checkpoints, or save less often."
        )
    return ""
