"""A map on which pictures that look alike lie near each other, and one number for how varied they are. The same every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.datasets.measure import Measures

WIDTH, HEIGHT = 16.0, 9.0  # of the map; its pictures are squares on it
_DIMENSIONS, _ROUNDS, _PUSHES = 24, 350, 120
_NEIGHBOURS = 12.0
_FILLED = 0.45  # share of the map that its pictures cover
_EDGE = 0.6  # of a picture between its middle and the edge of the map
_SAME_AS = 20.0  # of 255: so far apart two pictures count as half related; near copies lie below 6, strangers beyond 40


@dataclass(frozen=True)
class DiversityMap:
    """`points`: (n, 2) middles of pictures, x in 0-16 and y in 0-9; `side`: of each picture, in the same unit.

    `varied`: as many pictures that have nothing in common would be as varied as these; 1 to n.
    """

    points: np.ndarray
    side: float
    varied: float


def compute_map(measures: Sequence[Measures]) -> DiversityMap:
    """The map of some hundreds of pictures, by their colours and shapes at 8 x 8 (time and memory grow with the square)."""
    count = len(measures)
    if not count:
        return DiversityMap(np.zeros((0, 2)), 0.0, 0.0)
    colours = np.frombuffer(b"".join(m.tiny for m in measures), np.uint8).reshape(count, -1).astype(np.float64)
    distances = np.stack([np.abs(colours - one).mean(axis=1) for one in colours])
    side = min(HEIGHT / 3, float(np.sqrt(_FILLED * WIDTH * HEIGHT / count)))
    laid = _spread(_embed(_project(colours), distances), side)
    return DiversityMap(laid, side, _count_varied(distances))


def _count_varied(distances: np.ndarray) -> float:
    """The Vendi score (Friedman and Dieng, 2023): the exponential of the entropy of the similarities' eigenvalues."""
    values = np.linalg.eigvalsh(np.exp(-((distances / _SAME_AS) ** 2) * np.log(2)) / len(distances))
    values = values[values > 1e-12]
    return float(np.clip(np.exp(-(values * np.log(values)).sum()), 1, len(distances)))


def _project(colours: np.ndarray) -> np.ndarray:
    """(n, up to 24): along the directions in which the pictures differ most, each with a sign that the pictures decide."""
    middle = colours - colours.mean(axis=0)
    _, _, axes = np.linalg.svd(middle, full_matrices=False)
    axes = axes[:_DIMENSIONS]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return middle @ axes.T


def _embed(projected: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(n, 2) by t-SNE (van der Maaten and Hinton, 2008) from where the first two directions lead; few pictures stay there."""
    count = len(projected)
    start = np.zeros((count, 2))
    start[:, : projected.shape[1]] = projected[:, :2]
    if count < 6:
        return start
    wanted = _find_affinities(distances**2, min(_NEIGHBOURS, (count - 1) / 3))
    places = start / max(1e-9, start[:, 0].std()) * 1e-2
    speed, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(10.0, count / 12)
    for turn in range(_ROUNDS):
        lengths = (places**2).sum(axis=1)
        near = 1 / (1 + np.maximum(0, lengths[:, None] + lengths[None] - 2 * places @ places.T))
        np.fill_diagonal(near, 0)
        pull = ((4 if turn < _ROUNDS // 4 else 1) * wanted - near / near.sum()) * near
        slope = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
        gains = np.where(np.sign(slope) != np.sign(speed), gains + 0.2, gains * 0.8).clip(0.01)
        speed = (0.5 if turn < _ROUNDS // 4 else 0.8) * speed - rate * gains * slope
        places = places + speed - (places + speed).mean(axis=0)
    return places


def _find_affinities(squares: np.ndarray, neighbours: float) -> np.ndarray:
    """(n, n) that sum up to 1: how much each holds to each, with so many neighbours in effect."""
    count = len(squares)
    others = ~np.eye(count, dtype=bool)
    squares = np.where(others, squares / max(1e-9, float(np.median(squares[others]))), np.inf)
    squares -= squares.min(axis=1, keepdims=True)
    low, high = np.full((count, 1), 1e-6), np.full((count, 1), 1e6)
    for _ in range(60):
        sharp = (low + high) / 2
        held = np.exp(-squares * sharp)
        share = held / held.sum(axis=1, keepdims=True)
        entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(axis=1, keepdims=True)
        wide = entropy > np.log(neighbours)
        low, high = np.where(wide, sharp, low), np.where(wide, high, sharp)
    return np.maximum((share + share.T) / (2 * count), 1e-12)


def _spread(places: np.ndarray, side: float) -> np.ndarray:
    """Onto the map, and so far apart that no picture hides another one."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = np.where(high - low > 1e-9, high - low, 1.0)
    edge = _EDGE * side
    room = np.array([WIDTH, HEIGHT]) - 2 * edge
    laid = edge + np.where(high - low > 1e-9, (places - low) / span, 0.5) * room
    order = np.arange(len(laid), dtype=np.float64)
    # Of pictures in one place the later goes right or down, so that they part at all.
    apart = 1e-6 * np.sign(order[:, None] - order[None])
    for _ in range(_PUSHES):
        across, down = (laid[:, None, axis] - laid[None, :, axis] + apart for axis in (0, 1))
        over = side - np.maximum(np.abs(across), np.abs(down))
        np.fill_diagonal(over, 0)
        meet = over > 0
        if not meet.any():
            break
        sideways = meet & (np.abs(across) >= np.abs(down))
        moved = np.stack([(np.sign(gap) * over * way).sum(axis=1) for gap, way in ((across, sideways), (down, meet & ~sideways))], axis=1)
        laid = laid + moved / (1 + meet.sum(axis=1))[:, None]
        laid = np.clip(laid, edge, np.array([WIDTH, HEIGHT]) - edge)
    return laid
