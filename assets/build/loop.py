"""One training loop for every model, with a state on disk from which it goes on bit for bit.

A step's pictures, noise and captions are a pure function of (seed, job, step), so nothing but weights, their running
average and the optimizer's moments has to be kept. On the same machine with the same number of threads a resumed
training equals an uninterrupted one exactly.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

log = logging.getLogger(__name__)

STATE = "state.safetensors"
REPORT_EVERY = 50
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Step:
    """Where the training is, and the only randomness that a loss may use."""

    number: int
    total: int
    rng: Random
    generator: torch.Generator

    @property
    def progress(self) -> float:
        """Fraction of the training that lies behind, 0 to 1."""
        return self.number / self.total


@dataclass(frozen=True)
class Schedule:
    """Learning rate: linear warm-up, then flat, then a cosine from `decay_from` of the way down to `floor` times the rate."""

    rate: float
    warmup_steps: int
    decay_from: float
    floor: float = 0.01

    def at(self, step: Step) -> float:
        """The rate of a step."""
        rate = self.rate * min(1.0, (step.number + 1) / self.warmup_steps)
        if step.progress > self.decay_from:
            rate *= max(self.floor, 0.5 * (1 + math.cos(math.pi * (step.progress - self.decay_from) / (1 - self.decay_from))))
        return rate


@dataclass(frozen=True)
class Job:
    """One model to train.

    `averaging` is the decay of the running average of the weights; 0 keeps none.
    """

    name: str
    module: nn.Module
    compute_loss: Callable[[Step], Tensor]
    schedule: Schedule
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    averaging: float = 0.0


@dataclass(frozen=True)
class Trained:
    """The finished weights (averaged where the job asked for it) and the loss of every step of this call."""

    module: nn.Module
    losses: list[float]


def make_step(job: Job, number: int, total: int, seed: int) -> Step:
    """The step's own random sources."""
    rng = Random(f"{seed} {job.name} {number}")
    return Step(number, total, rng, torch.Generator().manual_seed(rng.getrandbits(63)))


def write_state(path: Path, job: Job, optimizer: torch.optim.Optimizer, average: nn.Module, about: dict[str, int]) -> None:
    """Writes all that resuming needs; the old state stays until the new one is complete."""
    tensors = {f"weight.{i}": p.detach() for i, p in enumerate(job.module.parameters())}
    if job.averaging:
        tensors |= {f"average.{i}": p for i, p in enumerate(average.parameters())}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value for key, value in moments.items()}
    part = path.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, metadata={"about": json.dumps(about)})
    part.replace(path)


def read_state(path: Path, job: Job, optimizer: torch.optim.Optimizer, average: nn.Module, about: dict[str, int]) -> int:
    """The number of steps that the state on disk has behind it, after putting it in place; 0 without one.

    Raises:
        ValueError: When the state is that of a training with other settings.
    """
    if not path.exists():
        return 0
    moments: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        found = json.loads((stored.metadata() or {})["about"])
        if found | {"step": 0} != about | {"step": 0}:
            raise ValueError(f"{path} is the state of a training with {found}, this one has {about}. Delete its folder to start afresh.")
        for i, parameter in enumerate(job.module.parameters()):
            parameter.copy_(stored.get_tensor(f"weight.{i}"))
        if job.averaging:
            for i, parameter in enumerate(average.parameters()):
                parameter.copy_(stored.get_tensor(f"average.{i}"))
        for name in stored.keys():  # noqa: SIM118  a safetensors file is not a mapping
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                moments.setdefault(int(index), {})[key] = stored.get_tensor(name)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(found["step"])


def train(job: Job, folder: Path, *, steps: int, seed: int, save_every: int) -> Trained:
    """Trains the job until `steps` are done, from where the state in `folder` stands."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = list(job.module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=job.schedule.rate, betas=job.betas, weight_decay=job.weight_decay, fused=True)
    average = copy.deepcopy(job.module).requires_grad_(False) if job.averaging else job.module
    about = {"steps": steps, "seed": seed, "weights": sum(p.numel() for p in parameters), "step": 0}
    done = read_state(folder / STATE, job, optimizer, average, about)
    log.info("%s: %s weights, step %d of %d", job.name, f"{about['weights']:,}", done, steps)
    losses: list[float] = []
    started = time.monotonic()
    for number in range(done, steps):
        step = make_step(job, number, steps, seed)
        for group in optimizer.param_groups:
            group["lr"] = job.schedule.at(step)
        loss = job.compute_loss(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        optimizer.step()
        if job.averaging:
            with torch.no_grad():
                torch._foreach_lerp_([*average.parameters()], [*parameters], 1 - min(job.averaging, (number + 2) / (number + 21)))
        losses.append(loss.item())
        if (number + 1) % REPORT_EVERY == 0:
            recent = sum(losses[-REPORT_EVERY:]) / len(losses[-REPORT_EVERY:])
            speed = (time.monotonic() - started) / len(losses)
            log.info("%s: step %d of %d, loss %.4f, %.2f s a step", job.name, number + 1, steps, recent, speed)
        if (number + 1) % save_every == 0 or number + 1 == steps:
            write_state(folder / STATE, job, optimizer, average, about | {"step": number + 1})
    return Trained(average, losses)
