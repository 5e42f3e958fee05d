"""Third stage: every picture that the base is trained on, encoded once; and the VAE centred on them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from assets.build.colours import COLOURS
from assets.build.compose import Jitter, compose, to_tensor
from assets.build.render import BASE_VENDORS, Drawings

log = logging.getLogger(__name__)

# Never mirrored: each mirrored drawing would be one more shape to learn.
JITTER = Jitter(mirror=0.0)
BATCH = 32

Subject = tuple[str, str, str]


@dataclass(frozen=True)
class Latents:
    """`values` (n, channels, 16, 16) float16 with mean 0 and deviation 1; `subjects` their vendor, thing and colour."""

    values: Tensor
    subjects: list[Subject]


def fold_statistics(vae: AutoencoderKL, mean: Tensor, deviation: float) -> None:
    """Makes the VAE itself deliver centred latents; changes it in place.

    The channel means (channels,) go into the 1 x 1 convolutions at its waist, because SDXL's code knows no
    shift_factor; the overall deviation becomes the scaling_factor.
    """
    with torch.no_grad():
        vae.quant_conv.bias[: len(mean)] -= mean
        vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
    vae.register_to_config(scaling_factor=1 / deviation)


@torch.no_grad()
def _encode(vae: AutoencoderKL, drawings: Drawings, subjects: list[Subject], seed: int) -> Tensor:
    parts = []
    for first in range(0, len(subjects), BATCH):
        pictures = [
            compose(drawings.glyphs[f"{vendor}/{name}"], COLOURS[colour], Random(f"{seed} latent {first + i}"), JITTER)
            for i, (vendor, name, colour) in enumerate(subjects[first : first + BATCH])
        ]
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(vae.encode(to_tensor(pictures)).latent_dist.mode().float())
    return torch.cat(parts)


def encode_drawings(vae_folder: Path, drawings: Drawings, out: Path, *, views: int, seed: int) -> None:
    """Writes `latents.safetensors`, `subjects.json` and the centred `vae` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKL.from_pretrained(vae_folder).eval()
    subjects = [(vendor, name, colour) for vendor, name in drawings.of(*BASE_VENDORS) for colour in COLOURS for _ in range(views)]
    values = _encode(vae, drawings, subjects, seed)
    mean = values.mean((0, 2, 3))
    values -= mean[None, :, None, None]
    deviation = float(values.std())
    log.info("%d latents, channel means %s, deviation %.3f", len(values), [round(m, 2) for m in mean.tolist()], deviation)
    fold_statistics(vae, mean, deviation)
    vae.save_pretrained(out / "vae")
    _write(out, values / deviation, subjects)


def encode_things(vae_folder: Path, drawings: Drawings, out: Path, *, things: tuple[str, ...], views: int, seed: int) -> None:
    """Writes `latents.safetensors` and `subjects.json` of a few things into `out`; the VAE is a finished one and stays as it is."""
    out.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKL.from_pretrained(vae_folder).float().eval()
    drawn = [pair for pair in drawings.of(*BASE_VENDORS) if pair[1] in things]
    subjects = [(vendor, name, colour) for vendor, name in drawn for colour in COLOURS for _ in range(views)]
    values = _encode(vae, drawings, subjects, seed) * vae.config.scaling_factor
    log.info("%d latents of %d drawings, deviation %.3f", len(values), len(drawn), float(values.std()))
    _write(out, values, subjects)


def _write(out: Path, values: Tensor, subjects: list[Subject]) -> None:
    (out / "subjects.json").write_text(json.dumps(subjects), encoding="utf-8")
    # Last, because its presence says that the stage is done.
    save_file({"latents": values.half().contiguous()}, out / "latents.part")
    (out / "latents.part").replace(out / "latents.safetensors")


def load_latents(folder: Path) -> Latents:
    """What `encode_drawings` wrote."""
    subjects = [(vendor, name, colour) for vendor, name, colour in json.loads((folder / "subjects.json").read_text("utf-8"))]
    return Latents(load_file(folder / "latents.safetensors")["latents"], subjects)
