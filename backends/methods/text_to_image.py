"""Text to image: a picture and its caption; the loss is the squared error of the prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch

from backends.families.protocol import Family
from backends.methods.denoising import compute_losses, draw_roles, fix_role, take_latents
from backends.methods.prompts import drop_caption, order_tags, plan_prompts, plan_validation
from backends.methods.protocol import ALONE, Batch, Draws, Item, PictureWish, Row, SamplePlan, Share, show_row

PICTURE = "image"


class TextToImage:
    """LoRA on what predicts (and the text encoders, where asked) from pictures with captions."""

    trains: Literal["lora", "denoiser"] = "lora"

    def __init__(self, family: Family, config: Any) -> None:
        self._family = family
        self._config = config

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """One sample a picture."""
        orders = order_tags(self._config, PICTURE)
        return [Item(r.id, {PICTURE: show_row(r)}, {PICTURE: r.caption}, r.held_out, orders) for r in rows]

    @staticmethod
    def wish_pictures(config: Any) -> PictureWish | None:
        """None."""
        return None

    def plan_drops(self) -> Callable[[float], frozenset[str]]:
        """The caption, as often as the settings say."""
        return partial(drop_caption, self._config.caption_dropout)

    def draw(self, batch: Batch, generator: torch.Generator, share: Share = ALONE) -> Draws:
        """Timesteps, noise and a fresh sample of the VAE's posterior."""
        return draw_roles(self._family, batch, (PICTURE,), generator, share)

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """The given timesteps and noise, and the latents' mean."""
        return fix_role(PICTURE, timesteps, noise)

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample of the batch."""
        return compute_losses(
            self._family.schedule,
            self._family.predict,
            latents=take_latents(self._family, batch, draws, PICTURE),
            noise=draws.noise[PICTURE],
            timesteps=draws.timesteps[PICTURE],
            conditions=batch.conditions[PICTURE],
            weighted=weighted,
            places=batch.weights.get(PICTURE),
        )

    def plan_samples(self, items: Sequence[Item]) -> list[SamplePlan]:
        """The sample prompts."""
        return plan_prompts(self._config)

    def plan_validation(self, items: Sequence[Item]) -> list[SamplePlan]:
        """The validation prompt."""
        return plan_validation(self._config)


class FullTextToImage(TextToImage):
    """All weights of what predicts, from pictures with captions."""

    trains: Literal["lora", "denoiser"] = "denoiser"
