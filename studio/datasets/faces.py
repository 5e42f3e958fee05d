"""Faces in pictures, by the cascades that come with OpenCV (Viola and Jones, CVPR 2001; Lienhart, ICIP 2002): no weights, no network.

One cascade alone calls a face what is none in every third textured picture. So three of them, taught separately, must agree on a
frontal face, each with ten windows; faces from the side are looked for where there is none, by one cascade and its mirror image,
with sixteen. docs/data.md has what is missed and what is called so without being so. Cats' faces are left out: of the two cascades
for them neither finds the one photograph of a cat that was tried, and both find cats in drawings.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.datasets.content_cache import ContentCache
from studio.datasets.edits import Box
from studio.datasets.opencv import cascade_path, load_opencv

_SIDE = 480  # px that are looked at
_SMALLEST = 0.07  # of the longer side
_FRONTAL = ("frontalface_default", "frontalface_alt2", "frontalface_alt")
_WINDOWS, _SIDE_WINDOWS = 10, 16  # that must lie on each other, for one cascade of three and for the one of faces from the side
_SAME = 0.35  # of the area of two boxes together is common to both
_STEP = 1.1
_CACHE = ContentCache("faces", version=1)
_mine = threading.local()  # a cascade must not be used by two threads at once


def find_faces(picture: Image.Image) -> list[Box]:
    """Left, top, width and height in px of each face, from between brow and hair to the chin; the largest first.

    Raises:
        DarkroomError: When OpenCV is not installed.
    """
    cv2 = load_opencv()
    small = picture.convert("L")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    grey = cv2.equalizeHist(np.asarray(small))
    first = _look(cv2, _FRONTAL[0], grey, _WINDOWS)
    others = [_look(cv2, name, grey, _WINDOWS) for name in _FRONTAL[1:]] if first else []
    found = [box for box in first if all(any(_overlap(box, other) > _SAME for other in boxes) for boxes in others)]
    if not found:
        found = _look(cv2, "profileface", grey, _SIDE_WINDOWS)
        mirrored = _look(cv2, "profileface", np.ascontiguousarray(grey[:, ::-1]), _SIDE_WINDOWS)
        found += [(small.width - x - w, y, w, h) for x, y, w, h in mirrored]
    factor = picture.width / small.width
    kept: list[Box] = []
    for box in sorted(found, key=lambda b: (-b[2] * b[3], b)):
        if not any(_overlap(box, other) > 0 for other in kept):  # one inside another is the same face twice
            kept.append(box)
    return [_scaled(box, factor, picture.size) for box in kept]


def read_faces(cache: Path, contents: Collection[str]) -> dict[str, list[Box]]:
    """Faces by content (sha256 of the whole picture's file), of those that were looked at before."""
    found: dict[str, list[Box]] = {}
    for content, value in _CACHE.read(cache, contents):
        with suppress(ValueError, TypeError):
            found[content] = [(int(x), int(y), int(w), int(h)) for x, y, w, h in json.loads(value)]
    return found


def write_faces(cache: Path, faces: Mapping[str, Collection[Box]]) -> None:
    """Keeps what was found, also that there is none."""
    _CACHE.write(cache, {content: json.dumps(list(boxes)).encode() for content, boxes in faces.items()})


def _look(cv2: Any, name: str, grey: np.ndarray, windows: int) -> list[Box]:
    known = _mine.__dict__.setdefault("cascades", {})
    if name not in known:
        known[name] = cv2.CascadeClassifier(cascade_path(name))
    least = max(20, round(_SMALLEST * max(grey.shape)))
    boxes = known[name].detectMultiScale(grey, scaleFactor=_STEP, minNeighbors=windows - 1, minSize=(least, least))
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes]


def _overlap(one: Box, other: Box) -> float:
    """What two boxes have in common, over what both cover."""
    wide = max(0, min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0]))
    high = max(0, min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1]))
    return wide * high / (one[2] * one[3] + other[2] * other[3] - wide * high)


def _scaled(box: Box, factor: float, size: tuple[int, int]) -> Box:
    left, top = round(box[0] * factor), round(box[1] * factor)
    return left, top, min(size[0] - left, round(box[2] * factor)), min(size[1] - top, round(box[3] * factor))
