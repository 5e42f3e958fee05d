"""The ground a run stands on: its processes, its precision, the checkpoint it goes on from, its base model."""

from __future__ import annotations

import importlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env

from backends.contract.base_models import resolve_source
from backends.contract.config import ConfigFaults
from backends.contract.division import find_division_faults
from backends.contract.errors import DarkroomError
from backends.contract.launch import read_launch
from backends.contract.rundir import RunDir
from backends.engine.checkpoint import Checkpoint
from backends.engine.faults import pass_failpoint
from backends.engine.precision import DTYPES, apply_switches, choose_precision
from backends.engine.reporter import Reporter
from backends.engine.requests import Requests
from backends.engine.resume import check_settings, find_resume
from backends.engine.sharing import Copies, Shards, Sharing
from backends.engine.whole import sweep
from backends.families.protocol import Family, LoadOptions, NoiseOptions
from backends.registry import Backend

TELL_EVERY_S = 0.3
PATIENCE = timedelta(days=1)


class StoppedEarlier(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The run was asked to stop before its first step."""


@dataclass
class Ground:
    """What everything else stands on: the run's folder and settings, this process among its ranks."""

    run: RunDir
    backend: Backend
    config: Any
    reporter: Reporter
    accelerator: Accelerator
    sharing: Sharing
    requests: Requests
    seed: int
    checkpoint: Checkpoint | None

    def check_stop(self) -> None:
        """Leaves the preparation where somebody wants it."""
        if self.requests.agree_on_stop():
            raise StoppedEarlier


def lay_ground(run: RunDir, backend: Backend, config: Any, reporter: Reporter, *, resume: str | None) -> Ground:
    """Processes, precision, the checkpoint to go on from, the seed."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    check_sharing(dict(os.environ))
    divides = wants_division(run, config)
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU")
    check_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", ranks)), 0 if on_cpu else torch.cuda.device_count())
    probe = join_ranks(on_cpu)
    check_ranks(config.num_processes, ranks, probe.num_processes)
    precision = choose_precision(config.mixed_precision, probe.device, reporter)
    accelerator = Accelerator(
        mixed_precision=precision, kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)]
    )
    apply_switches(config, accelerator.device, reporter)
    requests = Requests(run, ranks=ranks, patience=PATIENCE)
    requests.listen()
    if accelerator.is_main_process:
        sweep(run)
    accelerator.wait_for_everyone()
    found = find_resume(run, resume or config.resume_from_checkpoint, reporter)
    accelerator.wait_for_everyone()
    if found:
        check_settings(found.values["settings"], config.model_dump(mode="json"))
    seed = found.values["settings"]["seed"] if found else config.seed
    if seed is None:
        seed = agree_on_seed(accelerator)
    sharing = Shards(accelerator, reporter) if divides else Copies(accelerator)
    return Ground(run, backend, config, reporter, accelerator, sharing, requests, int(seed), found)


def join_ranks(on_cpu: bool) -> PartialState:
    """The processes of this run, joined; they wait for each other as long as one may be busy alone.

    By default those on GPUs give up after ten minutes, while rank 0 may draw many samples, write 50 GB to a slow disk, or wait for
    somebody to make room on a full one. A rank that died ends the others at once all the same: its connections close, and the
    launcher ends what is left.
    """
    return PartialState(cpu=on_cpu, timeout=PATIENCE)


def check_ranks(asked: int, started: int, joined: int) -> None:
    """Refuses to train when fewer or more processes take part than the settings ask for: some launchers start one in silence.

    Raises:
        DarkroomError: With all three numbers.
    """
    if asked == started == joined:
        return
    raise DarkroomError(
        f"{asked} processes were asked for (num_processes), {started} were started and {joined} work together. Start with "
        f"accelerate launch --multi_gpu --num_processes {asked}, on a CPU with ACCELERATE_USE_CPU=true in the environment.",
        field="num_processes",
    )


def check_gpus(started: int, there: int) -> None:
    """Refuses to train when more processes were started on this machine than it has GPUs; without any, a CPU may be shared.

    Raises:
        DarkroomError: With both numbers.
    """
    if started > there > 0:
        raise DarkroomError(
            f"{started} processes were started on this machine, which has {there} GPU{'s' if there > 1 else ''}; each needs one of its "
            f"own. Set GPUs to {there}.",
            field="num_processes",
        )


def wants_division(run: RunDir, config: Any) -> bool:
    """Whether the launch settings that were frozen with the run ask to divide its weights over the ranks.

    Raises:
        ConfigFaults: When they ask for what cannot be.
    """
    launch = read_launch(run)
    faults = find_division_faults(config, launch)
    if faults:
        raise ConfigFaults(faults)
    return launch.distribution == "fsdp2"


def check_sharing(environment: dict[str, str]) -> None:
    """Refuses to train when the launcher was told to divide the model over GPUs: the trainer does that itself, or not at all.

    Raises:
        DarkroomError: With the way out.
    """
    for name, title in {"FSDP": "FSDP", "DEEPSPEED": "DeepSpeed", "MEGATRON_LM": "Megatron-LM"}.items():
        if environment.get(f"ACCELERATE_USE_{name}", "").lower() in ("1", "true", "yes"):
            raise DarkroomError(
                f"accelerate launch was told to use {title}, which divides the model over GPUs; this trainer does so itself, where "
                "launch.yaml in the run’s folder says “distribution: fsdp2”. Start without it: accelerate launch --multi_gpu, with a file "
                "made by “python -m studio accelerate-config”."
            )


def agree_on_seed(accelerator: Accelerator) -> int:
    """A fresh seed, the same on all ranks."""
    drawn = torch.tensor([secrets.randbits(31)], dtype=torch.int64, device=accelerator.device)
    if accelerator.num_processes > 1:
        torch.distributed.broadcast(drawn, 0)
    return int(drawn.item())


def load_class(path: str) -> Any:
    """The class of a `module:Class` path."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def load_family(ground: Ground, *, trains_denoiser: bool = False) -> Family:
    """The base model on its device, with the memory switches of the settings."""
    c = ground.config
    options = LoadOptions(
        source=resolve_source(c.pretrained_model_name_or_path),
        device=ground.accelerator.device,
        dtype=DTYPES[ground.accelerator.mixed_precision],
        vae_source=c.pretrained_vae_model_name_or_path,
        revision=c.revision,
        variant=c.variant,
        cache_dir=c.cache_dir,
        denoiser_revision=getattr(c, "non_ema_revision", None),
        noise=NoiseOptions(**_named(c, NoiseOptions)),
        trains_denoiser=trains_denoiser,
        edits=ground.backend.method == "instruct_pix2pix",
        quantize=getattr(c, "quantize_base", "none"),
        **{name: getattr(c, name) for name in ("guidance_scale", "max_sequence_length") if hasattr(c, name)},
    )
    family: Family = load_class(ground.backend.family_class).load(options)
    if c.gradient_checkpointing:
        family.save_gradients_memory()
    switches = {"xFormers attention": (c.enable_xformers_memory_efficient_attention, family.use_xformers)}
    switches["NPU flash attention"] = (c.enable_npu_flash_attention, family.use_npu)
    for title, (wanted, switch) in switches.items():
        reason = switch() if wanted else ""
        if reason:
            ground.reporter.notice(f"{title} cannot be used: {reason} Using PyTorch’s own.", "warning")
    pass_failpoint("load.end")
    return family


def _named(config: Any, kind: type[Any]) -> dict[str, Any]:
    """Those settings that a dataclass has a field of the same name for."""
    return {f.name: getattr(config, f.name) for f in fields(kind) if hasattr(config, f.name)}


def ensure_on_rank_0(ground: Ground, action: Callable[[], None]) -> None:
    """Lets rank 0 act while the others wait."""
    if ground.accelerator.is_main_process:
        action()
    ground.accelerator.wait_for_everyone()


def cache_folder(run: RunDir) -> Path:
    """The workspace's cache where the studio names it, else one inside the run."""
    named = os.environ.get("DARKROOM_CACHE")
    return Path(named) / "encoded" if named else run.root / "cache" / "encoded"


def share_of(ground: Ground, note: str) -> dict[str, Any]:
    """What filling a cache needs to know of the ranks; `note` says what is encoded."""
    told = 0.0

    def on_done(done: int, total: int) -> None:
        nonlocal told
        pass_failpoint("cache.entry")
        if done == total or time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            ground.reporter.phase("caching", done, total, note)
        if ground.accelerator.num_processes == 1:
            ground.check_stop()

    a = ground.accelerator
    return {"rank": a.process_index, "ranks": a.num_processes, "wait": a.wait_for_everyone, "on_done": on_done}
