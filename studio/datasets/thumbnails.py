"""Small WebP copies of pictures, made on demand, kept in the cache under what they show."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.pictures import encode_webp

SIZES = (192, 384, 768)


def thumbnail_path(cache: Path, sha256: str, size_px: int) -> Path:
    """Where the thumbnail of a training copy lies, made or not."""
    return cache / "thumbs" / sha256[:2] / f"{sha256}_{size_px}.webp"


def find_or_make(cache: Path, source: Path, sha256: str, size_px: int) -> Path:
    """The thumbnail of `source` with its longer side at most `size_px`.

    Raises:
        DarkroomError: When the size is not one of `SIZES`, or the picture's file is gone or damaged.
    """
    if size_px not in SIZES:
        raise DarkroomError(f"There is no thumbnail of {size_px} px. There is: {', '.join(map(str, SIZES))} px.")
    path = thumbnail_path(cache, sha256, size_px)
    if _is_made(path):
        return path
    larger = thumbnail_path(cache, sha256, max(SIZES))
    try:
        with Image.open(larger if _is_made(larger) else source, formats=["PNG", "WEBP"]) as image:
            write_thumbnail(cache, image.convert("RGB"), sha256, size_px)
    except (OSError, SyntaxError, ValueError):
        raise DarkroomError("The file of this picture is gone or damaged. Remove the picture and add it again.") from None
    return path


def write_thumbnail(cache: Path, image: Image.Image, sha256: str, size_px: int) -> None:
    """Writes the thumbnail of `image`, whose training copy has this hash."""
    path = thumbnail_path(cache, sha256, size_px)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, encode_webp(image, size_px), lasting=False)


def _is_made(path: Path) -> bool:
    """Whether it is there; after a power cut it may be empty."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
