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
class Sd15Settings:
    """UNet and text encoder in SD 1.5's layout; they start from the finished base's weights."""

    steps: int = 1600
    batch: int = 32
    rate: float = 6e-4
    warmup_steps: int = 150
    averaging: float = 0.998


@dataclass(frozen=True)
class FluxSettings:
    """Transformer in Flux's layout and its T5; `rope_axes` add up to a head's width.

    First the plain flow for `steps`, then, from a frozen copy of the result, guidance for `distil_steps`: a scale drawn
    between 1 and `largest_guidance` for every picture.
    """

    heads: int = 6
    rope_axes: tuple[int, int, int] = (4, 14, 14)
    double_layers: int = 2
    single_layers: int = 4
    t5_width: int = 128
    t5_layers: int = 2
    steps: int = 8000
    batch: int = 32
    rate: float = 1e-3
    warmup_steps: int = 150
    averaging: float = 0.999
    distil_steps: int = 1200
    distil_rate: float = 5e-4
    distil_averaging: float = 0.998
    largest_guidance: float = 5.0


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
    sd15: Sd15Settings = field(default_factory=Sd15Settings)
    flux: FluxSettings = field(default_factory=FluxSettings)
