"""From a picture's file to pixels of its bucket."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from backends.contract.buckets import Bucket, Placement, choose_bucket, compute_buckets, compute_placement
from backends.contract.errors import DarkroomError


def read_pixels(file: Path, placement: Placement, *, flipped: bool = False) -> torch.Tensor:
    """Pixels (3, H, W) in -1..1: upright, on white where transparent, scaled and cut as `placement` says.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    try:
        with Image.open(file) as opened:
            picture = to_rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        raise DarkroomError(
            f"The picture {file.name} is no longer where it was ({file.parent}). Put it back, or start a new run."
        ) from None
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise DarkroomError(f"The picture {file.name} cannot be read: {error}. Replace or remove it, then start a new run.") from None
    bucket = placement.bucket
    scaled = picture.resize((placement.scaled_width, placement.scaled_height), Image.Resampling.LANCZOS)
    cut = scaled.crop((placement.left, placement.top, placement.left + bucket.width, placement.top + bucket.height))
    if flipped:
        cut = ImageOps.mirror(cut)
    return torch.from_numpy(np.array(cut, dtype=np.float32)).permute(2, 0, 1).div_(127.5).sub_(1)


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent becomes white."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    whole = picture.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, whole).convert("RGB")


def place_pictures(sizes: list[tuple[int, int]], *, resolution: int, step: int, square: bool) -> list[Placement]:
    """How each picture (width, height) comes to its bucket; `square` cuts all to the square one."""
    buckets = [Bucket(resolution, resolution)] if square else compute_buckets(resolution, step)
    return [compute_placement(w, h, choose_bucket(w, h, buckets)) for w, h in sizes]
