"""How large the models are and how long they are trained; the defaults are those of the shipped ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class VaeSettings:
    """Autoencoder, 128 px to 16 x 16 x `latent_channels`.

    `medium_from`, `whole_from` and `sharp_from` are fractions of the training: crops of 32 px first, then 64 px, then
    whole pictures; the outline loss comes in at the last.
    """

    channels: tuple[int, ...] = (24, 48, 96, 96)
    latent_channels: int = 8
    steps: int = 4000
    batch: int = 8
    rate: float = 6e-4
    warmup_steps: int = 60
    kl_weight: float = 5e-4
    medium_from: float = 0.64
    whole_from: float = 0.88
    sharp_from: float = 0.6


@dataclass(frozen=True)
class BaseSettings:
    """UNet and two text encoders; `views` is how many jittered latents each drawing and colour gets."""

    channels: tuple[int, ...] = (64, 96, 128)
    text_widths: tuple[int, int] = (96, 128)
    text_layers: int = 3
    num_merges: int = 1395
    steps: int = 7200
    batch: int = 40
    rate: float = 1e-3
    warmup_steps: int = 150
    averaging: float = 0.998
    views: int = 3


@dataclass(frozen=True)
class BlipSettings:
    """Captioner: a vision transformer on 64 px and a small decoder."""

    width: int = 160
    vision_layers: int = 5
    text_layers: int = 2
    steps: int = 2400
    batch: int = 48
    rate: float = 8e-4
    warmup_steps: int = 200


@dataclass(frozen=True)
class Settings:
    """Everything about one building of the models.

    `work` holds what can be made again (icon packages, arrays, training states), `out` the finished models.
    """

    work: Path
    out: Path
    seed: int = 0
    num_others: int = 2200
    save_every: int = 100
    vae: VaeSettings = field(default_factory=VaeSettings)
    base: BaseSettings = field(default_factory=BaseSettings)
    blip: BlipSettings = field(default_factory=BlipSettings)
