"""A mask of what a picture shows, made without a hand: GrabCut (Rother et al., SIGGRAPH 2004) from a guess where the subject is.

The guess is a head and shoulders below each face that was found; else what differs from the rim of the picture, in colour. The cut is made
on a small copy and brought up with a soft edge. It knows neither things nor persons: one before a background of its own colours is
cut wrongly, and a person looks at each mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from studio.datasets.edits import Box
from studio.datasets.opencv import load_opencv

SIDE = 384  # px that are cut; more takes longer and finds the same
LEAST, MOST = 0.02, 0.92  # of the picture that a mask may cover
_ROUNDS = 4
_RIM = 0.04  # of a side, of which a background is expected
_CRUMB = 0.06  # of the largest piece, below which a piece is taken for noise
_SOFT_PX = 1.2
_OUT, _IN, _PERHAPS_OUT, _PERHAPS_IN = 0, 1, 2, 3  # as cv2.grabCut has them


@dataclass(frozen=True)
class AutoMask:
    """The mask, grey and as large as the picture, and the share of it that it covers, 0 to 1; without one, why there is none."""

    mask: Image.Image | None
    covered: float
    refusal: str = ""


def make_auto_mask(picture: Image.Image, faces: Sequence[Box] = ()) -> AutoMask:
    """A mask of the subject of an RGB picture.

    Args:
        picture: The whole one.
        faces: Left, top, width and height in px of the faces on it.

    Raises:
        DarkroomError: When OpenCV is not installed.
    """
    cv2 = load_opencv()
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small)
    factor = small.width / picture.width
    guess = _guess_persons(small.size, [_shrunk(face, factor) for face in faces]) if faces else _guess_thing(cv2, values)
    if guess is None:
        return AutoMask(None, 0.0, "Nothing stands out from its background.")
    cut = _cut(cv2, values, guess)
    covered = float(cut.mean())
    if covered < LEAST:
        return AutoMask(None, covered, f"The mask would cover {covered:.1%} of the picture, nearly nothing.")
    if covered > MOST:
        return AutoMask(None, covered, f"The mask would cover {covered:.0%} of the picture, nearly all of it.")
    grey = Image.fromarray((cut * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(_SOFT_PX))
    return AutoMask(grey.resize(picture.size, Image.Resampling.BICUBIC), covered)


def _shrunk(box: Box, factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in box)


def _guess_persons(size: tuple[int, int], faces: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Around each face a head, and shoulders below it down to the rim of the picture; labels as cv2.grabCut takes them."""
    width, height = size
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    guess = np.full((height, width), _OUT, np.uint8)
    for near, label in ((1.6, _PERHAPS_OUT), (1.0, _PERHAPS_IN), (0.55, _IN)):
        for left, top, wide, high in faces:
            x, y = left + wide / 2, top + high * 0.45
            head = ((across - x) / (wide * 0.75 * near)) ** 2 + ((down - y) / (high * 0.95 * near)) ** 2 < 1
            below = (down - (top + high * 1.15)) / high  # in heights of the face, from under the chin
            reach = wide * (0.45 + np.clip(below + 0.2, 0, 1) * 1.15) * near
            body = (below > (0 if near <= 1 else -0.4)) & (np.abs(across - x) < reach)
            guess[head | body] = label
    return guess


def _guess_thing(cv2: Any, values: np.ndarray) -> np.ndarray | None:
    """What has other colours than the rim; labels as cv2.grabCut takes them, or None where all looks alike."""
    lab = cv2.cvtColor(cv2.GaussianBlur(values, (0, 0), 1.5), cv2.COLOR_RGB2LAB).astype(np.float32)
    height, width = lab.shape[:2]
    rim = np.zeros((height, width), bool)
    wide = max(2, round(_RIM * min(height, width)))
    rim[:wide] = rim[-wide:] = rim[:, :wide] = rim[:, -wide:] = True
    distance = _distance_to(cv2, lab, lab[rim])
    most = float(np.percentile(distance, 99))
    if most < 6:  # of 255 in Lab: less is the grain of one surface
        return None
    level, _ = cv2.threshold(np.clip(distance / most * 255, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    standing = distance > level / 255 * most
    guess = np.where(standing, _PERHAPS_IN, _PERHAPS_OUT).astype(np.uint8)
    guess[rim & ~standing] = _OUT
    core = cv2.erode(standing.astype(np.uint8), np.ones((2 * wide + 1, 2 * wide + 1), np.uint8))
    guess[(core > 0) & (distance > most * 0.6)] = _IN
    return guess if standing.any() and (guess == _OUT).any() else None


def _distance_to(cv2: Any, lab: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """How far each colour lies from those that make up the ground, up to five of them."""
    cv2.setRNGSeed(0)
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 1.0)
    _, labels, centres = cv2.kmeans(ground, min(5, len(ground)), None, rule, 1, cv2.KMEANS_PP_CENTERS)
    shares = np.bincount(labels.ravel(), minlength=len(centres)) / len(ground)
    usual = centres[shares >= min(0.08, shares.max())]  # a subject that reaches the rim is no ground
    return np.min([np.linalg.norm(lab - centre, axis=2) for centre in usual], axis=0)


def _cut(cv2: Any, values: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """1 where the subject is, 0 elsewhere, without crumbs and pinholes."""
    cv2.setRNGSeed(0)  # the same picture, the same mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    labels = guess.copy()
    cv2.grabCut(np.ascontiguousarray(values[..., ::-1]), labels, None, background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (_IN, _PERHAPS_IN)).astype(np.uint8)
    round_3 = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    found = cv2.morphologyEx(cv2.morphologyEx(found, cv2.MORPH_OPEN, round_3), cv2.MORPH_CLOSE, round_3)
    return _without_crumbs(cv2, 1 - _without_crumbs(cv2, 1 - _without_crumbs(cv2, found))).astype(np.float32)


def _without_crumbs(cv2: Any, found: np.ndarray) -> np.ndarray:
    """Only pieces that are no smaller than a part of the largest."""
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(found, connectivity=4)
    if count < 2:
        return found
    areas = sizes[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas >= _CRUMB * areas.max())
    return np.isin(pieces, kept).astype(np.uint8)
