"""DreamBooth (arXiv 2208.12242): a subject from a few pictures, beside pictures of its class so that the class is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from backends.contract.errors import DarkroomError
from backends.families.protocol import Conditions, Family
from backends.methods.denoising import compute_losses, draw_roles, fix_role, take_latents
from backends.methods.prompts import drop_caption, order_tags, plan_prompts, plan_validation
from backends.methods.protocol import ALONE, Batch, Draws, Item, PictureWish, Row, SamplePlan, Share, show_row

SUBJECT, CLASS = "image", "class"


class DreamBooth:
    """LoRA from pictures of one subject; a row with `class_picture` in its extra is a picture of the class."""

    trains: Literal["lora", "denoiser"] = "lora"

    def __init__(self, family: Family, config: Any) -> None:
        self._family = family
        self._config = config

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """One sample a picture of the subject, as often as it is repeated; beside each one of the class, in turn.

        As many samples a pass as there are of the larger group, as in the diffusers script. Those held out judge the subject alone.

        Raises:
            DarkroomError: When a picture has no words: neither a prompt for all, nor a caption of its own.
        """
        kept = [r for r in rows if r.extra.get("class_picture")]
        own = [r for r in rows if not r.extra.get("class_picture")]
        judging = [Item(r.id, {SUBJECT: show_row(r)}, {SUBJECT: self._words(r)}, True) for r in own if r.held_out]
        learning = [r for r in own if not r.held_out for _ in range(self._config.repeats)]
        orders = order_tags(self._config, SUBJECT)
        if not learning or not kept:
            return [Item(r.id, {SUBJECT: show_row(r)}, {SUBJECT: self._words(r)}, False, orders) for r in learning] + judging
        pairs = [(learning[i % len(learning)], kept[i % len(kept)]) for i in range(max(len(learning), len(kept)))]
        prompt = str(self._config.class_prompt)
        return [
            Item(f"{r.id}+{k.id}", {SUBJECT: show_row(r), CLASS: show_row(k)}, {SUBJECT: self._words(r), CLASS: prompt}, False, orders)
            for r, k in pairs
        ] + judging

    @staticmethod
    def wish_pictures(config: Any) -> PictureWish | None:
        """Pictures of the class, where the class is to be kept."""
        c = config
        if not c.with_prior_preservation:
            return None
        folder = Path(c.class_data_dir).expanduser() if c.class_data_dir else None
        extra = {"class_picture": True}
        return PictureWish(str(c.class_prompt), c.num_class_images, folder, c.sample_batch_size, c.prior_generation_precision, extra)

    def plan_drops(self) -> Callable[[float], frozenset[str]]:
        """The caption, as often as the settings say."""
        return partial(drop_caption, self._config.caption_dropout)

    def draw(self, batch: Batch, generator: torch.Generator, share: Share = ALONE) -> Draws:
        """Timesteps, noise and a fresh sample of the VAE's posterior, for the subject and for its class."""
        return draw_roles(self._family, batch, [role for role in (SUBJECT, CLASS) if role in batch.moments], generator, share)

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """The given timesteps and noise, and the latents' mean."""
        return fix_role(SUBJECT, timesteps, noise)

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample of the batch, its class's weighted and added (eq. 2); both go through the model at once.

        As in the diffusers scripts min-SNR weighs the subject alone; what weighs by how the base was trained, weighs both.
        """
        roles = [role for role in (SUBJECT, CLASS) if role in draws.noise]
        which: bool | torch.Tensor = weighted
        if weighted and len(roles) == 2 and getattr(self._config, "snr_gamma", None) is not None:
            which = torch.cat([torch.full_like(draws.timesteps[role], role == SUBJECT, dtype=torch.bool) for role in roles])
        losses = compute_losses(
            self._family.schedule,
            self._family.predict,
            latents=torch.cat([take_latents(self._family, batch, draws, role) for role in roles]),
            noise=torch.cat([draws.noise[role] for role in roles]),
            timesteps=torch.cat([draws.timesteps[role] for role in roles]),
            conditions=_join([batch.conditions[role] for role in roles]),
            weighted=which,
            places=_join_places(batch, roles),
        ).chunk(len(roles))
        return losses[0] if len(roles) == 1 else losses[0] + self._config.prior_loss_weight * losses[1]

    def plan_samples(self, items: Sequence[Item]) -> list[SamplePlan]:
        """The sample prompts."""
        return plan_prompts(self._config)

    def plan_validation(self, items: Sequence[Item]) -> list[SamplePlan]:
        """The validation prompt."""
        return plan_validation(self._config)

    def _words(self, row: Row) -> str:
        words = self._config.instance_prompt.strip() or row.caption.strip()
        if not words:
            raise DarkroomError(
                f"The picture {row.file.name} has no caption and there is no prompt of the subject. Give a prompt for all pictures, "
                "for example “a photo of zog dog”, or caption each.",
                field="instance_prompt",
            )
        return words


def _join(parts: list[Conditions]) -> Conditions:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _join_places(batch: Batch, roles: list[str]) -> torch.Tensor | None:
    """What each place counts, of all roles; a picture of the class has no mask."""
    masked = batch.weights.get(SUBJECT)
    if masked is None or len(roles) == 1:
        return masked
    return torch.cat([masked if role == SUBJECT else torch.ones_like(masked) for role in roles])
