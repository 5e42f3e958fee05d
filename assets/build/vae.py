"""Second stage: the autoencoder, 128 px pictures to 16 x 16 latents of 8 channels and back."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from assets.build.colours import COLOURS
from assets.build.compose import SIDE_PX, Jitter, any_colour, compose, draw_shapes, to_tensor
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.render import BASE_VENDORS, Drawings
from assets.build.settings import Settings, VaeSettings

CONCEPT_JITTER = Jitter(smallest=0.7, largest=0.98, shift=0.05)
OTHER_JITTER = Jitter(smallest=0.6, largest=0.95, shift=0.06)
PROBE_SEED = 999


def build_vae(settings: VaeSettings) -> AutoencoderKL:
    """An untrained autoencoder; no attention, because that costs much at 128 px and brings little."""
    levels = len(settings.channels)
    return AutoencoderKL(
        block_out_channels=settings.channels,
        layers_per_block=1,
        latent_channels=settings.latent_channels,
        norm_num_groups=8,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        mid_block_add_attention=False,
        sample_size=SIDE_PX,
        force_upcast=False,
    )


def draw_picture(drawings: Drawings, rng: Random) -> Image.Image:
    """55 % known things, 33 % other icons, 12 % random shapes; three quarters of them on a named colour."""
    colour = rng.choice(list(COLOURS.values())) if rng.random() < 0.75 else any_colour(rng)
    kind = rng.random()
    if kind < 0.55:
        vendor, name = rng.choice(drawings.of(*BASE_VENDORS))
        return compose(drawings.glyphs[f"{vendor}/{name}"], colour, rng, CONCEPT_JITTER)
    if kind < 0.88:
        return compose(rng.choice(drawings.others), colour, rng, OTHER_JITTER)
    return draw_shapes(rng)


def draw_batch(drawings: Drawings, rng: Random, count: int, crop_px: int) -> Tensor:
    """(count, 3, crop_px, crop_px) in -1 to 1: random crops of fresh pictures."""
    crops = []
    for _ in range(count):
        left, top = (rng.randrange(SIDE_PX - crop_px + 1) for _ in range(2))
        crops.append(draw_picture(drawings, rng).crop((left, top, left + crop_px, top + crop_px)))
    return to_tensor(crops)


def plan_crops(progress: float, settings: VaeSettings) -> tuple[int, int]:
    """(crop in px, how many) at a point of the training.

    Small crops first: a net with group norm learns absolute colour last and needs many colours a step for it. Whole
    pictures last, so that its statistics fit what it will see in use.
    """
    if progress < settings.medium_from:
        return 32, 4 * settings.batch
    return (64, settings.batch) if progress < settings.whole_from else (SIDE_PX, max(4, settings.batch // 3))


def compute_outline_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the differences of neighbouring pixels: keeps outlines crisp without a perceptual network."""
    return sum(((a.diff(dim=axis) - b.diff(dim=axis)).abs().mean() for axis in (-1, -2)), torch.zeros(()))


def compute_vae_loss(vae: AutoencoderKL, pictures: Tensor, sharpness: float, kl_weight: float, generator: torch.Generator) -> Tensor:
    """Squared error at first (quick and smooth), at sharpness 1 mostly L1 and outlines; always some KL.

    An outline loss on a picture that is still a blur would favour flat ones.
    """
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pictures).latent_dist
        painted = vae.decode(posterior.sample(generator)).sample
    painted = painted.float()
    kl = 0.5 * (posterior.mean.float().pow(2) + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    outlines = compute_outline_loss(painted, pictures) if sharpness else torch.zeros(())
    flat = (0.3 + 0.7 * sharpness) * F.l1_loss(painted, pictures) + (2 - sharpness) * F.mse_loss(painted, pictures)
    return flat + 0.5 * sharpness * outlines + kl_weight * kl


@torch.no_grad()
def compute_psnr(vae: AutoencoderKL, drawings: Drawings, count: int = 32) -> float:
    """Mean peak signal-to-noise ratio in dB over pictures that are the same in every training."""
    pictures = draw_batch(drawings, Random(PROBE_SEED), count, SIDE_PX)
    painted = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    return float((10 * torch.log10(4 / (painted - pictures).pow(2).mean((1, 2, 3)))).mean())


def train_vae(settings: Settings, drawings: Drawings, folder: Path) -> Trained:
    """Trains the autoencoder and writes it to `folder/model`."""
    own = settings.vae
    torch.manual_seed(settings.seed)
    vae = build_vae(own)

    def compute_loss(step: Step) -> Tensor:
        crop_px, count = plan_crops(step.progress, own)
        sharpness = min(1.0, max(0.0, (step.progress - own.sharp_from) / 0.15))
        pictures = draw_batch(drawings, step.rng, count, crop_px)
        return compute_vae_loss(vae, pictures, sharpness, own.kl_weight, step.generator)

    # A rate of 1.2e-3 and more stalls for hundreds of steps on grey pictures.
    schedule = Schedule(own.rate, own.warmup_steps, decay_from=0.6, floor=0.02)
    job = Job("vae", vae, compute_loss, schedule, betas=(0.9, 0.98), weight_decay=1e-3, averaging=0.995)
    trained = train(job, folder, steps=own.steps, seed=settings.seed, save_every=settings.save_every)
    trained.module.eval().save_pretrained(folder / "model")  # type: ignore[operator]
    return trained
