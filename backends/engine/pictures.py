"""From a picture's file to pixels of its bucket."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from backends.contract.buckets import Bucket, Placement, choose_bucket, compute_buckets, compute_placement
from backends.contract.errors import DarkroomError
from backends.methods.protocol import Item


def read_pixels(file: Path, placement: Placement, *, flipped: bool = False) -> torch.Tensor:
    """Pixels (3, H, W) in -1..1: upright, on white where transparent, scaled and cut as `placement` says.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    cut = cut_picture(open_picture(file), placement)
    if flipped:
        cut = ImageOps.mirror(cut)
    return torch.from_numpy(np.array(cut, dtype=np.float32)).permute(2, 0, 1).div_(127.5).sub_(1)


def open_picture(file: Path) -> Image.Image:
    """The picture upright and in RGB, on white where transparent.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    try:
        with Image.open(file) as opened:
            return to_rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        raise DarkroomError(
            f"The picture {file.name} is no longer where it was ({file.parent}). Put it back, or start a new run."
        ) from None
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise DarkroomError(f"The picture {file.name} cannot be read: {error}. Replace or remove it, then start a new run.") from None


def cut_picture(picture: Image.Image, placement: Placement) -> Image.Image:
    """Scaled and cut as `placement` says."""
    bucket = placement.bucket
    scaled = picture.resize((placement.scaled_width, placement.scaled_height), Image.Resampling.LANCZOS)
    return scaled.crop((placement.left, placement.top, placement.left + bucket.width, placement.top + bucket.height))


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent becomes white."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    whole = picture.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, whole).convert("RGB")


def list_buckets(*, resolution: int, step: int, square: bool) -> list[Bucket]:
    """The buckets of a run; `square` leaves only the square one."""
    return [Bucket(resolution, resolution)] if square else compute_buckets(resolution, step)


def place_item(item: Item, buckets: list[Bucket]) -> dict[str, Placement]:
    """How each picture of a sample comes to the bucket that suits its first one."""
    first = next(iter(item.pictures.values()))
    bucket = choose_bucket(first.width, first.height, buckets)
    return {role: compute_placement(shown.width, shown.height, bucket) for role, shown in item.pictures.items()}


def fit_picture(file: Path, buckets: list[Bucket]) -> Image.Image:
    """The picture as a trainer would see it: upright, scaled and cut to its bucket.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    with open_picture(file) as picture:
        placement = compute_placement(*picture.size, choose_bucket(*picture.size, buckets))
        return cut_picture(picture, placement)
