"""Marks that stand at the same place of many pictures: a photographer's name, a site's address, a date. Told by their edges.

What is drawn over pictures has the same edges in each of them, and the pictures below have not: where the mean of many pictures'
edges does not vanish, something repeats (after Dekel and others, "On the Effectiveness of Visible Watermarks", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

PLACES = ("top left", "top right", "bottom left", "bottom right")
_ACROSS, _DOWN = 40, 12
_WIDTH, _HEIGHT = 0.3, 0.08  # of the longer side: a mark is as large in a picture that is cut to another shape
_EDGE = 6  # of 255: less counts as none
_CELLS = _ACROSS * _DOWN
BYTES = len(PLACES) * 2 * _CELLS // 8
# Without a mark anywhere chance reaches 0.35, and more only with a handful of edges.
_AGREE, _FEWEST_CELLS, _FEWEST = 0.42, 30, 5
# The same mark in two sizes is two to the edges: one in upright pictures, one in the others, and one more.
_SIZES = 3
_LEARNT_FROM = 2000
_PART = 2000


@dataclass(frozen=True)
class Mark:
    """Something that repeats: where it stands, and in which pictures (their positions)."""

    place: str
    positions: list[int]


def measure_corners(grey: Image.Image) -> bytes:
    """480 bytes: in 40 x 12 cells of each corner, whether it gets brighter to the right, and whether it gets darker."""
    width, height = grey.size
    longer = max(width, height)
    across, down = min(_WIDTH * longer, float(width)), min(_HEIGHT * longer, float(height))
    packed = []
    for left, top in ((0.0, 0.0), (width - across, 0.0), (0.0, height - down), (width - across, height - down)):
        cells = np.asarray(grey.resize((_ACROSS + 1, _DOWN), Image.Resampling.BOX, (left, top, left + across, top + down)), np.int16)
        steps = (cells[:, 1:] - cells[:, :-1]).ravel()
        packed += [np.packbits(steps >= _EDGE).tobytes(), np.packbits(steps <= -_EDGE).tobytes()]
    return b"".join(packed)


def find_marks(corners: Sequence[bytes]) -> list[Mark]:
    """Marks that repeat in five pictures or more, whatever lies below them.

    Pictures of one unmoved scene repeat in all their corners: what is found in more than two of them is no mark.

    Args:
        corners: What `measure_corners` made of each picture; copies of one picture should not be among them.
    """
    bits = np.frombuffer(b"".join(corners), np.uint8).reshape(len(corners), len(PLACES), 2, _CELLS // 8)
    found: dict[str, list[int]] = {}
    left = np.arange(len(bits))
    for _ in range(_SIZES):
        shared = {name: left[positions].tolist() for place, name in enumerate(PLACES) if (positions := _find_repeated(bits[left, place]))}
        if not 1 <= len(shared) <= 2:
            break
        for name, positions in shared.items():
            found[name] = sorted([*found.get(name, []), *positions])
        left = np.setdiff1d(left, np.concatenate(list(shared.values())))
    return [Mark(name, found[name]) for name in PLACES if name in found]


def _find_repeated(bits: np.ndarray) -> list[int]:
    """Positions of pictures that share edges in one corner; `bits`: (n, 2, 60)."""
    if len(bits) < _FEWEST:
        return []
    some = np.linspace(0, len(bits) - 1, min(len(bits), _LEARNT_FROM)).astype(int)
    learnt = _unpack(bits[some])
    own = np.ones(len(learnt), bool)
    for turn in range(4):
        agree = _compute_agreement(learnt, learnt[own].sum(axis=0), own)
        # A mark in few is faint among all: go on from those in which it seems strongest.
        own = agree >= (_AGREE if turn else np.sort(agree)[-max(_FEWEST, len(agree) // 5)])
        if own.sum() < _FEWEST:
            return []
    mark = learnt[own].sum(axis=0)
    if (np.abs(mark) > own.sum() / 2).sum() < _FEWEST_CELLS:
        return []
    repeated: list[int] = []
    is_learnt = np.zeros(len(bits), bool)
    is_learnt[some[own]] = True
    for start in range(0, len(bits), _PART):
        part = slice(start, start + _PART)
        agree = _compute_agreement(_unpack(bits[part]), mark, is_learnt[part])
        repeated += (start + np.flatnonzero(agree >= _AGREE)).tolist()
    return repeated if len(repeated) >= _FEWEST else []


def _unpack(bits: np.ndarray) -> np.ndarray:
    """(n, 480) of -1, 0 and 1."""
    rising, falling = (np.unpackbits(bits[:, way], axis=1).astype(np.float32) for way in (0, 1))
    return rising - falling


def _compute_agreement(edges: np.ndarray, mark: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The cosine between each picture's edges and the sum `mark`, from which its own are taken out where they are `inside`."""
    others = mark - edges * inside[:, None]
    lengths = np.sqrt((edges**2).sum(axis=1) * (others**2).sum(axis=1))
    return np.asarray((edges * others).sum(axis=1) / np.maximum(lengths, 1e-6))
