"""From a picture's file to pixels of its bucket."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps

from backends.contract.buckets import Bucket, Placement, choose_bucket, compute_buckets, compute_placement
from backends.contract.pictures import PictureFile, cut_picture, open_picture
from backends.methods.protocol import Item


def read_pixels(file: PictureFile, placement: Placement, *, flipped: bool = False) -> torch.Tensor:
    """Pixels (3, H, W) in -1..1: upright, on white where transparent, scaled and cut as `placement` says.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    cut = cut_picture(open_picture(file), placement)
    if flipped:
        cut = ImageOps.mirror(cut)
    return torch.from_numpy(np.array(cut, dtype=np.float32)).permute(2, 0, 1).div_(127.5).sub_(1)


def list_buckets(*, resolution: int, step: int, square: bool) -> list[Bucket]:
    """The buckets of a run; `square` leaves only the square one."""
    return [Bucket(resolution, resolution)] if square else compute_buckets(resolution, step)


def place_item(item: Item, buckets: list[Bucket]) -> dict[str, Placement]:
    """How each picture of a sample comes to the bucket that suits its first one."""
    first = next(iter(item.pictures.values()))
    bucket = choose_bucket(first.width, first.height, buckets)
    return {role: compute_placement(shown.width, shown.height, bucket) for role, shown in item.pictures.items()}


def fit_picture(file: PictureFile, buckets: list[Bucket]) -> Image.Image:
    """The picture as a trainer would see it: upright, scaled and cut to its bucket.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    with open_picture(file) as picture:
        placement = compute_placement(*picture.size, choose_bucket(*picture.size, buckets))
        return cut_picture(picture, placement)
