"""A picture's file as upright RGB, scaled and cut: the same for trainer, worker and studio. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from PIL import Image, ImageOps

from backends.contract.buckets import Bucket, Placement, compute_placement
from backends.contract.errors import DarkroomError


class Readable(Protocol):
    """Something inside a larger file that can be asked what a path can."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def parent(self) -> Path:
        """What it lies in."""

    def open(self, mode: str = "rb") -> BinaryIO:
        """Its bytes."""

    def __hash__(self) -> int:
        """The same for the same bytes, so that what was read of it can be kept."""


PictureFile = Path | Readable
"""What a picture is read from."""


def open_picture(file: PictureFile) -> Image.Image:
    """The picture upright and in RGB, on white where transparent.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as opened:
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


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scaled to cover this size in px, cut from the middle."""
    return cut_picture(picture, compute_placement(*picture.size, Bucket(width, height)))


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent becomes white."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    whole = picture.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, whole).convert("RGB")
