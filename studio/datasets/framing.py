"""Where in a picture the subject is, and the largest part of a wanted shape around it: around faces, else around what stands out.

Faces are found by a library that not everybody has (`studio.datasets.faces`). Without any it is a measure of our own: how far a place's
colour lies from the picture's mean colour (the measure of Achanta et al., Frequency-tuned Salient Region Detection, CVPR 2009, here in
YCbCr), and how strong its edges are. Of a thing before a busy wall it may keep the wall. A person looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from backends.contract.errors import DarkroomError
from studio.datasets.edits import MIN_SIDE_PX, Box

_SIDE = 192  # px that are looked at; the subject of a picture is no smaller than some of them
_MOVES = 4
_WIDEST = 8.0
_EYES = 0.4  # of the height of a face, from its top
Around = Literal["faces", "subject", "middle"]


def find_subject(picture: Image.Image, aspect: float) -> Box:
    """The largest part of an RGB picture whose width over height is `aspect`, placed so that it holds most of what stands out.

    Returns:
        Left, top, width and height in px.

    Raises:
        DarkroomError: As `find_part`.
    """
    width, height = picture.size
    part = find_part(picture.size, aspect)
    standing_out = compute_salience(picture)
    left = _place(standing_out.sum(axis=0), part[0] / width) * (width - part[0])
    top = _place(standing_out.sum(axis=1), part[1] / height) * (height - part[1])
    return round(left), round(top), *part


def compute_salience(picture: Image.Image) -> np.ndarray:
    """How much each place stands out, 0 and more, over a copy of at most 192 px a side: colour against the mean, and edges."""
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    values = np.asarray(small.filter(ImageFilter.GaussianBlur(1)).convert("YCbCr"), np.float32)
    colour = np.linalg.norm(values - values.mean(axis=(0, 1)), axis=2)
    down, across = np.gradient(values[..., 0])
    edges = np.hypot(down, across)
    return _scaled(colour) ** 2 + _scaled(edges) ** 2


def _scaled(values: np.ndarray) -> np.ndarray:
    most = float(np.percentile(values, 99))
    return np.minimum(values / most, 1.0) if most > 0 else np.zeros_like(values)


def _place(line: np.ndarray, share: float) -> float:
    """Where a window that covers `share` of the line belongs: 0 at its beginning, 1 at its end, the middle where nothing stands out.

    It begins where it holds most, and is then moved until what it holds lies around its middle: so nothing is cut off that has room.
    """
    length = max(1, round(share * len(line)))
    room = len(line) - length
    above = np.maximum(line - np.median(line), 0).astype(np.float64)  # what stands out from the ground of the picture
    if room < 1 or not above.any():
        return 0.5
    total = np.concatenate([[0.0], np.cumsum(above)])
    start = int(np.argmax(total[length:] - total[:-length]))
    for _ in range(_MOVES):
        held = above[start : start + length]
        middle = float(np.average(np.arange(length), weights=held)) + start
        start = min(room, max(0, round(middle - (length - 1) / 2)))
        if not above[start : start + length].any():
            return 0.5
    return start / room


@dataclass(frozen=True)
class Frame:
    """Left, top, width and height in px; what it was laid around; and how many faces are inside."""

    box: Box
    around: Around
    faces: int = 0


def find_frame(size: tuple[int, int], aspect: float, faces: Sequence[Box]) -> Frame | None:
    """The largest part of a picture of this width and height whose width over height is `aspect`, laid around faces.

    All of them, with hair and chin, where they fit; else the largest. The eyes come to a third of the height where there is room.
    None where there is no face.

    Raises:
        DarkroomError: As `find_part`.
    """
    part = find_part(size, aspect)
    if not faces:
        return None
    kept = list(faces)
    if not _fits(_surround(kept), part):
        kept = [max(faces, key=lambda face: face[2] * face[3])]
    left, top, right, bottom = _surround(kept)
    weights = [face[2] * face[3] for face in kept]
    eyes = float(np.average([face[1] + _EYES * face[3] for face in kept], weights=weights))
    x = _held((left + right - part[0]) / 2, left, right, part[0], size[0])
    y = _held(eyes - part[1] / 3, top, bottom, part[1], size[1])
    return Frame((x, y, *part), "faces", len(kept))


def find_middle(size: tuple[int, int], aspect: float) -> Frame:
    """The largest part of this shape around the middle."""
    part = find_part(size, aspect)
    return Frame(((size[0] - part[0]) // 2, (size[1] - part[1]) // 2, *part), "middle")


def find_part(size: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Width and height in px of the largest part whose width over height is `aspect`.

    Raises:
        DarkroomError: When `aspect` is beyond 8 to 1, or the part would be less than 32 px on a side.
    """
    width, height = size
    if not 1 / _WIDEST <= aspect <= _WIDEST:
        raise DarkroomError(f"The shape is {aspect:g} to 1; it must lie between 1 to 8 and 8 to 1.", field="aspect")
    part = (min(width, round(height * aspect)), min(height, round(width / aspect)))
    if min(part) < MIN_SIDE_PX:
        raise DarkroomError(
            f"The largest part of this shape is {part[0]:,} x {part[1]:,} px; each side must have at least {MIN_SIDE_PX} px. "
            "Choose another shape.",
            field="aspect",
        )
    return part


def _surround(faces: Sequence[Box]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the heads: a face ends below the hair and at the chin."""
    return (
        min(x - 0.15 * w for x, _, w, _ in faces),
        min(y - 0.4 * h for _, y, _, h in faces),
        max(x + 1.15 * w for x, _, w, _ in faces),
        max(y + 1.15 * h for _, y, _, h in faces),
    )


def _fits(heads: tuple[float, float, float, float], part: tuple[int, int]) -> bool:
    return heads[2] - heads[0] <= part[0] and heads[3] - heads[1] <= part[1]


def _held(wanted: float, first: float, last: float, length: int, whole: int) -> int:
    """Where a window of this length begins: as wanted, but with all from `first` to `last` in it where it fits, inside the whole."""
    wanted = min(max(wanted, last - length), first) if last - first <= length else (first + last - length) / 2
    return round(min(max(wanted, 0), whole - length))


def say_frame(around: Around, faces: int = 0) -> str:
    """What a frame was laid around, as a page says it."""
    if around == "faces":
        return "Kept around one face" if faces == 1 else f"Kept around {faces} faces"
    return "Kept around what stands out" if around == "subject" else "The middle is kept"
