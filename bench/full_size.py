"""A step at full size on a GPU, with random weights and nothing fetched: `python -m bench.full_size`.

SDXL LoRA and Flux LoRA (bf16 and nf4) at 1024 px, InstructPix2Pix on SD 1.5 and SDXL: steps a second, peak memory of the steps and
from building on, ours as a share of the bare loop's speed, and how much of the card's peak the step uses (MFU). With a checkout of
diffusers in DIFFUSERS_SCRIPT its script runs in the same process; it reads a folder, so that the weights are written to the disk
first (Flux: 24 GB). One after the other, each alone in the GPU's memory: so here nothing takes turns. Without a GPU `--count` says what
a step takes, and `--sizes small` tries the way itself with tiny models; its times say nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from backends.contract.errors import DarkroomError
from backends.contract.quantized import check_quantization
from backends.families.flux import Flux
from backends.families.protocol import LoadOptions
from backends.families.quantizing import store_small
from backends.families.sd15 import Sd15
from backends.families.sdxl import Sdxl
from bench.bare import BareLoop
from bench.counting import count_pictures, count_step, count_words
from bench.diffusers_script import LAYERS, DiffusersScript, ScriptEndedError, find_script
from bench.memory import forget_peak, read_peak_mib
from bench.random_models import Sizes, build_random
from bench.trainings import Case, build_ours, run_ours
from bench.turns import Loop, measure

NO_GPU = "Not measured: this machine has no CUDA GPU. `--sizes small` only tries the way."
# Dense bf16 with float32 sums, TFLOP/s, from the makers' data sheets; the first name found in the card's own counts.
PEAKS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "A10G": 70,
    "A40": 150,
    "A6000": 155,
    "4090": 165,
    "3090": 71,
}


@dataclass(frozen=True)
class Job:
    """One measurement: what is trained at which size; a base stored small by `quantize`."""

    training: str
    resolution: int
    batches: tuple[int, ...]
    quantize: str = "none"

    @property
    def name(self) -> str:
        """For the command line."""
        return self.training.replace("/", "_") + ("" if self.quantize == "none" else f"_{self.quantize}")


JOBS = {
    job.name: job
    for job in (
        Job("sdxl/text_to_image", 1024, (1, 4, 8)),
        Job("flux/dreambooth", 1024, (1, 4)),
        Job("flux/dreambooth", 1024, (1, 4), "nf4"),
        Job("sd15/instruct_pix2pix", 512, (4, 16)),
        Job("sdxl/instruct_pix2pix", 1024, (1, 2)),
    )
}


@dataclass(frozen=True)
class Machine:
    """Where it runs, in which type, at which sizes."""

    device: torch.device
    dtype: torch.dtype
    sizes: dict[str, Sizes]
    peak_tflops: float | None

    @property
    def name(self) -> str:
        """The card's name, or the CPU's."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.processor() or platform.machine()

    def finish(self) -> None:
        """Waits for what the GPU still does."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Measured:
    """One loop: seconds a step by the clock, median of the rounds; MiB at most during steps, and from building to their end."""

    seconds: float
    steps_mib: float
    whole_mib: float


class _Ready:
    """A family whose base model is made, not loaded; `make` is set before a run is put together."""

    make: Callable[[LoadOptions], Any]

    @classmethod
    def load(cls, options: LoadOptions) -> Any:
        return cls(cls.make(options), options)  # type: ignore[call-arg]


class ReadySd15(_Ready, Sd15):
    """SD 1.5."""


class ReadySdxl(_Ready, Sdxl):
    """SDXL."""


class ReadyFlux(_Ready, Flux):
    """Flux."""


READY: dict[str, type[_Ready]] = {"sd15": ReadySd15, "sdxl": ReadySdxl, "flux": ReadyFlux}


def make_base(machine: Machine, family: str, quantize: str, options: LoadOptions) -> Any:
    """A random base model as its family would have loaded it."""
    # bitsandbytes packs what moves to the GPU, so that its base begins beside it
    device = torch.device("cpu") if quantize != "none" else machine.device
    dtype = torch.float32 if options.trains_denoiser else options.dtype
    pipeline = build_random(family, device=device, dtype=dtype, sizes=machine.sizes.get(family))
    denoiser = pipeline.transformer if family == "flux" else pipeline.unet
    if quantize != "none":
        store_small(denoiser, quantize, options.dtype)
    for part in ("text_encoder", "text_encoder_2"):
        if getattr(pipeline, part, None) is not None:
            getattr(pipeline, part).to(options.dtype)
    return pipeline


def build_our_loop(machine: Machine, case: Case, job: Job, **changes: Any) -> Loop:
    """The real trainer on the random base."""
    family = case.backend.family
    kind = READY[family]
    kind.make = staticmethod(partial(make_base, machine, family, job.quantize))  # type: ignore[assignment]
    precision = {torch.float32: "no", torch.bfloat16: "bf16"}[machine.dtype]
    backend = replace(case.backend, family_class=f"{__name__}:{kind.__name__}")
    if case.trains_lora:
        changes = {"quantize_base": job.quantize, **changes}
    return partial(run_ours, build_ours(case, backend, mixed_precision=precision, **changes))


def build_bare_loop(machine: Machine, case: Case, job: Job, *, checkpointing: bool = False) -> Loop:
    """The bare loop on a random base of the same kind."""
    options = LoadOptions("", machine.device, machine.dtype, trains_denoiser=not case.trains_lora)
    pipeline = make_base(machine, case.backend.family, job.quantize, options)
    loop = BareLoop(pipeline, case, device=machine.device, dtype=machine.dtype)
    if checkpointing:
        loop.denoiser.enable_gradient_checkpointing()
    return loop.run


def count_job(job: Job) -> dict[str, Any]:
    """What a step of one picture or pair takes at full size, by counting; needs no GPU."""
    case = make_case(job, 1, Path())
    step, pictures, words = count_step(case), count_pictures(case), count_words(case)
    told: dict[str, Any] = {"job": job.name, "px": job.resolution, "tflop a step": round(step / 1e12, 2)}
    told |= {"to encode pictures": round(pictures / 1e12, 2), "to encode captions": round(words / 1e12, 2)}
    return told | {"a step that encodes both / one that does not": round(1 + (pictures + words) / step, 2)}


def time_alone(machine: Machine, build: Callable[[], Loop], *, steps: int, rounds: int) -> Measured:
    """What a step costs, and memory."""
    forget_peak(machine.device)  # and what an earlier loop has left, or the fault that ended it
    loop = build()
    loop(3)  # kernels are chosen, memory is asked for
    building = read_peak_mib(machine.device)
    forget_peak(machine.device)  # loading and encoding are no part of a step
    loop(1)
    found = [measure(loop, steps, machine.finish).wall / 1000 for _ in range(rounds)]
    stepping = read_peak_mib(machine.device)
    return Measured(statistics.median(found), stepping, max(building, stepping))


def measure_job(machine: Machine, case: Case, job: Job, *, steps: int, rounds: int, checkpointing: bool = False) -> dict[str, Any]:
    """Our step, the bare loop's and the script's, one after the other; one that finds no room leaves the others' figures."""
    alone: dict[str, Callable[[], Measured]] = {
        name: partial(time_alone, machine, build, steps=steps, rounds=rounds)
        for name, build in {
            "ours": lambda: build_our_loop(machine, case, job, gradient_checkpointing=checkpointing),
            "bare": lambda: build_bare_loop(machine, case, job, checkpointing=checkpointing),
        }.items()
    }
    script = find_script(case.training)
    if script and job.quantize == "none":
        alone["script"] = partial(time_script, machine, case, script, steps=steps, rounds=rounds, checkpointing=checkpointing)
    told: dict[str, Any] = {"machine": machine.name, "job": job.name, "batch": case.batch_size, "px": case.resolution}
    told |= {"dtype": str(machine.dtype).removeprefix("torch."), "gradient_checkpointing": checkpointing}
    seconds, found = time_each(alone)
    return told | found | compare(seconds, count_step(case, machine.sizes.get(case.backend.family)), machine.peak_tflops)


def time_each(alone: dict[str, Callable[[], Measured]]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds a step of the loops that could be measured, and what is told of each, or why it could not."""
    seconds: dict[str, float] = {}
    told: dict[str, Any] = {}
    for name, time_it in alone.items():
        try:
            found = time_it()
        except (torch.OutOfMemoryError, DarkroomError, ScriptEndedError) as error:
            told[f"{name} not measured"] = (str(error) or type(error).__name__).splitlines()[0]
            continue
        seconds[name] = found.seconds
        told |= {f"{name} steps/s": round(1 / found.seconds, 4), f"{name} peak MiB, steps": round(found.steps_mib)}
        told[f"{name} peak MiB, building included"] = round(found.whole_mib)
    return seconds, told


def compare(seconds: dict[str, float], flops: int, peak_tflops: float | None) -> dict[str, float]:
    """Ratios of the loops that were measured, what a step takes, and the share of the card's peak."""
    told = {"tflop a step": round(flops / 1e12, 4)}
    if {"ours", "bare"} <= seconds.keys():
        told["share of the bare loop's speed"] = round(seconds["bare"] / seconds["ours"], 3)
    if {"ours", "script"} <= seconds.keys():
        told["ours/script"] = round(seconds["ours"] / seconds["script"], 3)
    if peak_tflops and "ours" in seconds:
        told["mfu"] = round(flops / seconds["ours"] / 1e12 / peak_tflops, 4)
    return told


def time_script(machine: Machine, case: Case, path: Path, *, steps: int, rounds: int, checkpointing: bool) -> Measured:
    """The diffusers script, on a random base that is written to the disk for it."""
    options = LoadOptions("", torch.device("cpu"), machine.dtype, trains_denoiser=not case.trains_lora)
    base = case.folder / "base"
    make_base(replace(machine, device=torch.device("cpu")), case.backend.family, "none", options).save_pretrained(base)
    told: dict[str, Any] = {"mixed_precision": {torch.float32: "no", torch.bfloat16: "bf16"}[machine.dtype]}
    if checkpointing:
        told["gradient_checkpointing"] = True
    script = DiffusersScript(path, replace(case, base=str(base)), **told)
    try:
        return time_alone(machine, lambda: script.run, steps=steps, rounds=rounds)
    finally:
        script.close()


def choose_machine(sizes: str, peak_tflops: float | None) -> Machine:
    """The GPU, or for small sizes the CPU too.

    Raises:
        SystemExit: When full sizes are asked for and there is no GPU.
    """
    small = sizes == "small"
    if not small and not torch.cuda.is_available():
        raise SystemExit(NO_GPU)
    if not torch.cuda.is_available():
        return Machine(torch.device("cpu"), torch.float32, small_sizes(), None)
    device = torch.device("cuda", 0)
    name = torch.cuda.get_device_name(device)
    known = next((peak for card, peak in PEAKS.items() if re.search(rf"\b{card}\b", name)), None)
    return Machine(device, torch.bfloat16, small_sizes() if small else {}, peak_tflops or known)


def small_sizes() -> dict[str, Sizes]:
    """The same builds with a few thousand weights."""
    from tests.ldm_layout import CLIP_L, SMALL, VAE

    blocks = {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2, "joint_attention_dim": 32, "pooled_projection_dim": 32}
    return {**SMALL, "flux": {"transformer": blocks, "vae": VAE, "text_encoder": CLIP_L}}


def main() -> None:
    """Writes one JSON line a job and batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", nargs="*", choices=list(JOBS), default=list(JOBS), help="Default: all.")
    parser.add_argument("--batch", type=int, nargs="*", help="Default: what suits a card with 80 GB.")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--sizes", choices=("full", "small"), default="full")
    parser.add_argument("--peak-tflops", type=float, help="Of the card, dense bf16; needed where its name is not known.")
    parser.add_argument("--count", action="store_true", help="Only counts what a step takes; needs no GPU.")
    given = parser.parse_args()
    if given.count:
        for job in (JOBS[name] for name in given.job if JOBS[name].quantize == "none"):
            sys.stdout.write(json.dumps(count_job(job)) + "\n")
        return
    machine = choose_machine(given.sizes, given.peak_tflops)
    for name in given.job:
        find_script(JOBS[name].training)  # a wrong checkout is told now, not after the first measurement
    for job in (JOBS[name] for name in given.job):
        for batch_size in given.batch or job.batches:
            with tempfile.TemporaryDirectory() as folder:
                case = make_case(job, batch_size, Path(folder), small=given.sizes == "small")
                told = try_job(machine, case, job, steps=given.steps, rounds=given.rounds, checkpointing=given.gradient_checkpointing)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def make_case(job: Job, batch_size: int, folder: Path, *, small: bool = False) -> Case:
    """The case of a job: rank 16, without class pictures."""
    base = {"sd15": "sd15", "sdxl": "sdxl", "flux": "flux-dev"}[job.training.partition("/")[0]]
    resolution = 64 if small else job.resolution
    return Case(job.training, batch_size, LAYERS, folder, base=base, resolution=resolution, rank=16, keeps_class=False)


def try_job(machine: Machine, case: Case, job: Job, *, steps: int, rounds: int, checkpointing: bool) -> dict[str, Any]:
    """The measurement, or why there is none: this machine cannot store the base so."""
    try:
        check_quantization(job.quantize, machine.device.type)
    except DarkroomError as error:
        return {"machine": machine.name, "job": job.name, "batch": case.batch_size, "not measured": str(error)}
    return measure_job(machine, case, job, steps=steps, rounds=rounds, checkpointing=checkpointing)


if __name__ == "__main__":
    main()
