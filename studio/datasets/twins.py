"""Pictures that are the same, nearly the same, or mirrored: compared by hash first, by colour second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.datasets.measure import Measures

# Judged on drawings and photos: a saved-again JPEG, a resized, a brightened or a slightly cropped copy falls inside; two
# poses of one drawing on one background, and one pose on two backgrounds, fall outside.
_NEAR_BITS, _NEAR_COLOUR = 10, 6.0
_FAR_BITS, _SAME_COLOUR = 20, 2.0
_ROWS = 256


@dataclass(frozen=True)
class Twins:
    """Positions of pictures that are alike, in order. `alike` in percent; `mirrored` when one of them is a mirror image."""

    positions: list[int]
    alike: int
    exact: bool
    mirrored: bool


def find_twins(measures: Sequence[Measures], contents: Sequence[str]) -> list[Twins]:
    """Groups of pictures that are alike.

    Args:
        measures: One for each picture.
        contents: Hashes of the pictures' pixels, in the same order.
    """
    pairs = _find_pairs(measures)
    groups = _join([(a, b) for a, b, _, _ in pairs], len(measures))
    found = []
    for group in groups:
        inside = [p for p in pairs if p[0] in group]
        exact = len({contents[i] for i in group}) == 1
        found.append(Twins(sorted(group), 100 if exact else min(99, min(p[2] for p in inside)), exact, any(p[3] for p in inside)))
    return sorted(found, key=lambda t: t.positions)


def _find_pairs(measures: Sequence[Measures]) -> list[tuple[int, int, int, bool]]:
    """(first, second, alike in percent, mirrored) for each pair that is alike."""
    if len(measures) < 2:
        return []
    plain, mirrored = _words([m.dhash for m in measures]), _words([m.mirrored_dhash for m in measures])
    colours = _colours(measures)
    flipped = colours[:, :, ::-1]
    pairs = []
    for start in range(0, len(measures), _ROWS):
        rows = plain[start : start + _ROWS, None]
        for other, tiny, is_mirrored in ((plain, colours, False), (mirrored, flipped, True)):
            bits = np.bitwise_count(rows ^ other[None]).sum(-1)
            for a, b in np.argwhere(bits <= _FAR_BITS):
                a = int(a) + start
                if a < b and (alike := _compare(int(bits[a - start, b]), colours[a], tiny[b])):
                    pairs.append((a, int(b), alike, is_mirrored))
    return _best_of_each(pairs)


def _best_of_each(pairs: list[tuple[int, int, int, bool]]) -> list[tuple[int, int, int, bool]]:
    best: dict[tuple[int, int], tuple[int, int, int, bool]] = {}
    for pair in sorted(pairs, key=lambda p: (p[2], not p[3])):
        best[pair[:2]] = pair
    return list(best.values())


def _compare(bits: int, one: np.ndarray, two: np.ndarray) -> int:
    """How alike in percent, 0 when not enough."""
    colour = float(np.abs(one - two).mean())
    if not (bits <= _NEAR_BITS and colour <= _NEAR_COLOUR) and colour > _SAME_COLOUR:
        return 0
    return round(100 * (1 - max(bits / 256, colour / 128)))


def _colours(measures: Sequence[Measures]) -> np.ndarray:
    """(n, 8, 8, 3), each brought to one mean brightness: a lighter copy is still a copy."""
    tiny = np.array([m.tiny for m in measures], np.float32).reshape(-1, 8, 8, 3)
    means = tiny.mean(axis=(1, 2, 3), keepdims=True)
    return tiny * (np.float32(112) / np.maximum(means, 8))


def _words(hashes: list[int]) -> np.ndarray:
    """(n, 2) of uint64."""
    mask = (1 << 64) - 1
    return np.array([[h >> 64, h & mask] for h in hashes], np.uint64)


def _join(pairs: list[tuple[int, int]], count: int) -> list[set[int]]:
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        parent[root(b)] = root(a)
    groups: dict[int, set[int]] = {}
    for i in {i for pair in pairs for i in pair}:
        groups.setdefault(root(i), set()).add(i)
    return list(groups.values())
