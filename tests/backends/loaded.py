"""A family and a method in this very process, put together from settings as the trainer does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from backends.contract.config import parse_config
from backends.engine.ground import load_class, load_family
from backends.engine.reporter import Reporter
from backends.methods.protocol import Batch, Draws
from backends.registry import BACKENDS, find_backend

NAMES = [name for name, backend in BACKENDS.items() if backend.method_class]  # the others are trained by another program
CPU = torch.device("cpu")


@dataclass
class Loaded:
    """One back end on one base model."""

    name: str
    config: Any
    family: Any
    method: Any


def load(name: str, base: Path | str, **settings: Any) -> Loaded:
    """The back end with these settings, its base model in float32 on the CPU."""
    backend = find_backend(name)
    config = parse_config(backend.config, {"pretrained_model_name_or_path": str(base), "resolution": 64, "report_to": "none", **settings})
    accelerator = SimpleNamespace(device=CPU, mixed_precision="no")
    ground: Any = SimpleNamespace(config=config, accelerator=accelerator, reporter=Reporter(None), backend=backend)
    kind = load_class(backend.method_class)
    family = load_family(ground, trains_denoiser=kind.trains == "denoiser")
    return Loaded(name, config, family, kind(family, config))


def make_question(loaded: Loaded, *, count: int = 3, size: tuple[int, int] = (8, 8), seed: int = 0) -> tuple[Batch, Draws]:
    """A batch of random moments and embeddings with random draws, everything that decides a loss."""
    random = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    told = {name: noise(count, *t.shape[1:]) for name, t in loaded.family.encode_prompts([""]).items()}
    if loaded.name.startswith("sdxl"):
        told["time_ids"] = torch.randint(0, 512, (count, 6), generator=random).float()
    roles = {"instruct_pix2pix": ("before", "after")}.get(loaded.name.partition("/")[2], ("image",))
    if getattr(loaded.config, "with_prior_preservation", False):
        roles = ("image", "class")
    channels = loaded.family.vae.config.latent_channels
    moments = {role: (noise(count, channels, *size), noise(count, channels, *size).abs()) for role in roles}
    predicted = [role for role in roles if role != "before"]
    batch = Batch(list(range(count)), moments, {role: {n: t.roll(i, 0) for n, t in told.items()} for i, role in enumerate(predicted)})
    return batch, loaded.method.draw(batch, random)
