"""What is drawn from words while training, when they are left out, and in which orders they are read."""

from __future__ import annotations

from typing import Any

from backends.contract.caption_reading import TagOrders, is_left_out
from backends.contract.pictures import PictureFile
from backends.contract.settings.pictures import plan_orders
from backends.methods.protocol import CAPTION, SamplePlan


def plan_prompts(config: Any, before: PictureFile | None = None) -> list[SamplePlan]:
    """The sample prompts, each from as many seeds as the settings say; `before` is the picture that they edit."""
    return [SamplePlan(text, config.num_sample_seeds, before) for text in config.sample_prompts]


def plan_validation(config: Any, before: PictureFile | None = None) -> list[SamplePlan]:
    """The validation prompt of the diffusers scripts, where there is one."""
    return [SamplePlan(config.validation_prompt, config.num_validation_images, before)] if config.validation_prompt else []


def drop_caption(share: float, chance: float) -> frozenset[str]:
    """The caption, for a `chance` below the share."""
    return frozenset({CAPTION}) if is_left_out(share, chance) else frozenset()


def order_tags(config: Any, role: str) -> dict[str, TagOrders]:
    """The orders in which the tags of this role's captions are read, as the settings say."""
    how = plan_orders(config)
    return {} if how is None else {role: how}
