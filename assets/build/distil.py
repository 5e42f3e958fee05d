"""Guidance distilled into the Flux transformer, as in FLUX.1 [dev]: the scale becomes one of its inputs.

The teacher is the plain model, frozen, with classifier-free guidance; the student starts as its copy, with an embedding
of the scale that is silent at first, so that nothing is unlearnt before something is learnt (Meng et al. 2022,
arXiv:2210.03142, section 3.1).
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from assets.build.base import vary_caption
from assets.build.flux import Flux, add_noise, draw_sigmas, keep_residuals_whole, pack, predict
from assets.build.latents import Latents
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.settings import Settings


def build_student(teacher: FluxTransformer2DModel) -> FluxTransformer2DModel:
    """The teacher's copy with an input for the guidance scale, which changes nothing yet."""
    student = FluxTransformer2DModel.from_config({**teacher.config, "guidance_embeds": True})
    missing = student.load_state_dict(teacher.state_dict(), strict=False).missing_keys
    if not all("guidance_embedder" in name for name in missing):
        raise ValueError(f"the teacher lacks more than the guidance's embedding: {missing}")
    silent = student.time_text_embed.guidance_embedder.linear_2
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    keep_residuals_whole(student)
    return student


def draw_scales(count: int, largest: float, generator: torch.Generator) -> Tensor:
    """(count,) guidance scales from 1 (none) to `largest`."""
    return 1 + (largest - 1) * torch.rand(count, generator=generator)


@torch.no_grad()
def teach(teacher: Flux, tokens: Tensor, sigmas: Tensor, texts: list[str], scales: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """(encoded texts, the teacher's velocity with classifier-free guidance of these scales) at noisy `tokens`."""
    pooled, states = teacher.encode([*texts, ""])
    count = len(texts)
    twice = tuple(torch.cat([part[:count], part[count:].expand(count, *part.shape[1:])]) for part in (pooled, states))
    velocity = predict(teacher.transformer, tokens.repeat(2, 1, 1), sigmas.repeat(2), (twice[0], twice[1]), None)
    asked, unasked = velocity.chunk(2)
    return (pooled[:count], states[:count]), unasked + scales.view(-1, 1, 1) * (asked - unasked)


def train_guidance(settings: Settings, latents: Latents, teacher: Flux, folder: Path) -> Trained:
    """Trains a transformer with an input for the scale; the running average of its weights is the result."""
    own = settings.flux
    torch.manual_seed(settings.seed)
    teacher.requires_grad_(False).eval()
    student = build_student(teacher.transformer)

    def compute_loss(step: Step) -> Tensor:
        chosen = torch.randint(0, len(latents.subjects), (own.batch,), generator=step.generator)
        clean = pack(latents.values[chosen].float())
        noise = torch.randn(clean.shape, generator=step.generator)
        sigmas = draw_sigmas(own.batch, step.generator)
        scales = draw_scales(own.batch, own.largest_guidance, step.generator)
        texts = [vary_caption(latents.subjects[i], step.rng) for i in chosen.tolist()]
        tokens = add_noise(clean, noise, sigmas)
        with torch.autocast("cpu", torch.bfloat16):
            encoded, target = teach(teacher, tokens, sigmas, texts, scales)
            predicted = predict(student, tokens, sigmas, encoded, scales)
        return (predicted - target).pow(2).mean()

    schedule = Schedule(own.distil_rate, own.warmup_steps, decay_from=0.2, floor=0.0)
    job = Job("distil", student, compute_loss, schedule, averaging=own.distil_averaging)
    return train(job, folder, steps=own.distil_steps, seed=settings.seed, save_every=settings.save_every)
