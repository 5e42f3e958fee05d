"""InstructPix2Pix (arXiv 2211.09800): a picture, an instruction, and the picture as it should become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from backends.contract.errors import DarkroomError
from backends.contract.pictures import PictureFile
from backends.families.protocol import EXTRA_CHANNELS, Family
from backends.methods.denoising import compute_losses, draw_roles, fix_role, take_latents
from backends.methods.prompts import plan_prompts, plan_validation
from backends.methods.protocol import ALONE, CAPTION, Batch, Draws, Item, PictureWish, Row, SamplePlan, Share, Shown

AFTER, BEFORE = "after", "before"


class InstructPix2Pix:
    """All weights of the UNet, whose first layer sees the picture before beside the noisy one after."""

    trains: Literal["lora", "denoiser"] = "denoiser"

    def __init__(self, family: Family, config: Any) -> None:
        family.widen_input()
        self._family = family
        self._config = config

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """One sample a pair.

        Raises:
            DarkroomError: When a row has no picture before, or no instruction.
        """
        return [_item(row) for row in rows]

    @staticmethod
    def wish_pictures(config: Any) -> PictureWish | None:
        """None."""
        return None

    def plan_drops(self) -> Callable[[float], frozenset[str]]:
        """The instruction, the picture before, or both, as often as the settings say."""
        return partial(drop_parts, self._config.conditioning_dropout_prob or 0.0)

    def draw(self, batch: Batch, generator: torch.Generator, share: Share = ALONE) -> Draws:
        """Timesteps, noise and a fresh sample of the posterior for the picture after; the one before is taken at its mean."""
        return draw_roles(self._family, batch, (AFTER,), generator, share)

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """The given timesteps and noise, and the latents' mean."""
        return fix_role(AFTER, timesteps, noise)

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each pair; the latents before are not scaled, as the pipelines that draw with them expect."""
        return compute_losses(
            self._family.schedule,
            self._family.predict,
            latents=take_latents(self._family, batch, draws, AFTER),
            noise=draws.noise[AFTER],
            timesteps=draws.timesteps[AFTER],
            conditions={**batch.conditions[AFTER], EXTRA_CHANNELS: batch.moments[BEFORE][0]},
            weighted=weighted,
        )

    def plan_samples(self, items: Sequence[Item]) -> list[SamplePlan]:
        """Pairs held out with what they should become, then the prompts on the picture of the settings."""
        c = self._config
        judging = [item for item in items if item.held_out][: c.num_sample_pairs]
        plans = [
            SamplePlan(item.captions[AFTER], c.num_sample_seeds, item.pictures[BEFORE].file, item.pictures[AFTER].file) for item in judging
        ]
        return plans + plan_prompts(c, self._picture(items))

    def plan_validation(self, items: Sequence[Item]) -> list[SamplePlan]:
        """The validation prompt on the picture of the settings."""
        return plan_validation(self._config, self._picture(items))

    def _picture(self, items: Sequence[Item]) -> PictureFile | None:
        """The picture that prompts are tried on: that of the settings, or one held out; None where there is neither, and no prompt."""
        c = self._config
        if not c.val_image:
            judging = [item for item in items if item.held_out] or list(items)
            if not judging and (c.sample_prompts or c.validation_prompt):
                raise DarkroomError("There is no picture to try prompts on. Give one for the samples, or hold some out.", field="val_image")
            return judging[0].pictures[BEFORE].file if judging else None
        picture = Path(self._config.val_image).expanduser()
        if not picture.is_file():
            raise DarkroomError(
                f"The picture for the samples, {picture}, is not there. Give another file, or leave it empty.", field="val_image"
            )
        return picture


def drop_parts(share: float, chance: float) -> frozenset[str]:
    """The instruction below twice the share, the picture before between once and three times (section 3.2.1)."""
    left_out = {CAPTION} if chance < 2 * share else set()
    return frozenset(left_out | {BEFORE} if share <= chance < 3 * share else left_out)


def _item(row: Row) -> Item:
    before = row.extra.get("input_file")
    if not before:
        raise DarkroomError(f"{row.file.name} has no picture before it; a pair is a picture before, an instruction, and one after.")
    if not row.caption.strip():
        raise DarkroomError(f"The pair of {row.file.name} has no instruction. Write one, such as “make the sky red”, or remove the pair.")
    pictures = {
        AFTER: Shown(row.id, row.file, row.width, row.height),
        BEFORE: Shown(
            str(row.extra.get("input_id") or f"{row.id} before"), Path(before) if isinstance(before, str) else before, row.width, row.height
        ),
    }
    return Item(row.id, pictures, {AFTER: row.caption}, row.held_out)
