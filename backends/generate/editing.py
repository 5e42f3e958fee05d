"""The pictures that are edited, brought to the size they are drawn at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from backends.contract.draw import DrawConfig
from backends.contract.drawing import describe_base, fit_size
from backends.contract.errors import DarkroomError
from backends.contract.pictures import cover, open_picture


def fit_batch(configs: Sequence[DrawConfig]) -> list[Image.Image]:
    """The pictures of a batch, all of one size."""
    return [fit_one(config) for config in configs]


def fit_one(config: DrawConfig) -> Image.Image:
    """One picture, upright and in RGB, scaled to cover its size and cut from the middle.

    Raises:
        DarkroomError: When it is gone, or is no picture.
    """
    try:
        picture = open_picture(Path(config.image or ""))
    except DarkroomError:
        raise DarkroomError("The picture to edit is not there any more. Choose it again.", field="image") from None
    return cover(picture, *size_of(config, picture))


def size_of(config: DrawConfig, picture: Image.Image) -> tuple[int, int]:
    """The size that the settings ask for, or what suits the picture and the base model."""
    if config.width and config.height:
        return config.width, config.height
    base = describe_base(config.base_model)
    return fit_size(*picture.size, resolution=base.resolution, step=base.side_step)
