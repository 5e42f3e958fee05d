"""Pictures that are the same, nearly the same, or mirrored: compared by hash first, by colour second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from studio.datasets.measure import CUT_HASHES, Measures

# Judged on drawings and photos: a saved-again JPEG, a resized, a brightened or a slightly cropped copy falls inside; two
# poses of one drawing on one background, and one pose on two backgrounds, fall outside.
_NEAR_BITS, _NEAR_COLOUR = 10, 6.0
_FAR_BITS, _SAME_COLOUR = 20, 2.0
# Of a copy from which up to a twentieth was cut: 50 drawings and 50 photos lie at least 16 bits from each other's cuts.
_CUT_BITS, _CUT_COLOUR = 12, 15.0
_MANY = 20_000  # beyond, cuts are not looked for: they cost ten times as much as all the rest
_PLAIN = 0.1  # of the whole search what takes no cuts
_CELLS = 250_000  # of a table of comparisons that is held at once: 2 MB a word, which the cores' own memory holds
_CROWD = 64  # twins looked at for each picture: ten thousand frames of one film must not cost a hundred million pairs


@dataclass(frozen=True)
class Twins:
    """Positions of pictures that are alike, in order. `alike` in percent; `mirrored` when one of them is a mirror image."""

    positions: list[int]
    alike: int
    exact: bool
    mirrored: bool


def find_twins(
    measures: Sequence[Measures], contents: Sequence[str], *, cut: bool = False, tell: Callable[[float], None] | None = None
) -> list[Twins]:
    """Groups of pictures that are alike.

    Args:
        measures: One for each picture.
        contents: Hashes of the pictures' pixels, in the same order.
        cut: Whether a picture from which up to 5 % a side was cut is alike too; of at most 20,000 pictures.
        tell: Is told how far it is, from 0 to 1; what it raises ends the search.
    """
    same: dict[str, list[int]] = {}
    for position, content in enumerate(contents):
        same.setdefault(content, []).append(position)
    firsts = [positions[0] for positions in same.values()]
    cut = cut and len(firsts) <= _MANY
    told = tell or (lambda _: None)
    pairs = _find_pairs([measures[i] for i in firsts], lambda part: told(part * (_PLAIN if cut else 1)))
    if cut:
        pairs += _find_cut([measures[i] for i in firsts], lambda part: told(_PLAIN + part * (1 - _PLAIN)))
    joined = _join([(firsts[a], firsts[b]) for a, b, _, _ in pairs], len(measures))
    of = {i: number for number, group in enumerate(joined) for i in group}
    alike, mirrored = [99] * len(joined), [False] * len(joined)
    for a, _, percent, is_mirrored in pairs:
        group = of[firsts[a]]
        alike[group] = min(alike[group], percent)
        mirrored[group] |= is_mirrored
    found = [
        Twins(sorted(j for i in group for j in same[contents[i]]), alike[number], False, mirrored[number])
        for number, group in enumerate(joined)
    ]
    found += [Twins(positions, 100, True, False) for positions in same.values() if len(positions) > 1 and positions[0] not in of]
    return sorted(found, key=lambda t: t.positions)


def _find_pairs(measures: Sequence[Measures], tell: Callable[[float], None]) -> list[tuple[int, int, int, bool]]:
    """(first, second, alike in percent, mirrored) for pairs that are alike; of a large crowd enough of them to join it."""
    if len(measures) < 2:
        return []
    plain, mirrored = _words([m.dhash for m in measures]), _words([m.mirrored_dhash for m in measures])
    colours = _colours(measures)
    flipped = colours[:, :, ::-1]
    best: dict[tuple[int, int], tuple[int, int, int, bool]] = {}
    step = _rows_at_once(len(measures))
    for start in range(0, len(measures) - 1, step):
        tell((start / len(measures)) * (2 - start / len(measures)))  # each is compared with those behind it
        for other, tiny, is_mirrored in ((plain, colours, False), (mirrored, flipped, True)):
            near_bits = _count_bits(plain[:, start : start + step], other[:, start + 1 :])  # each pair once: with those behind
            hits = near_bits <= _FAR_BITS
            for row in np.flatnonzero(hits.any(axis=1)).tolist():
                a = start + row
                after = row + np.flatnonzero(hits[row, row:])[:_CROWD]
                percents = _compare(near_bits[row, after], colours[a], tiny[start + 1 + after])
                for b, percent in zip((start + 1 + after).tolist(), percents.tolist(), strict=True):
                    # A symmetric picture is its own mirror image: what is alike as it stands is not called mirrored.
                    if percent and ((a, b) not in best or percent > best[a, b][2]):
                        best[a, b] = (a, b, percent, is_mirrored)
    return list(best.values())


def _find_cut(measures: Sequence[Measures], tell: Callable[[float], None]) -> list[tuple[int, int, int, bool]]:
    """The same for pictures of which one is a part of the other."""
    if len(measures) < 2:
        return []
    plain, colours = _words([m.dhash for m in measures]), _colours(measures)
    cuts = np.frombuffer(b"".join(m.cut_dhashes for m in measures), ">u8").astype(np.uint64).reshape(len(measures), CUT_HASHES, 2)
    cuts = np.ascontiguousarray(cuts.transpose(1, 2, 0))
    found: dict[tuple[int, int], int] = {}
    step = _rows_at_once(len(measures))
    for start in range(0, len(measures), step):
        tell(start / len(measures))
        for one in range(CUT_HASHES):
            bits = _count_bits(cuts[one, :, start : start + step], plain)
            for row, other in np.argwhere(bits <= _CUT_BITS).tolist():
                a, b = start + row, other
                if a != b and np.abs(colours[a] - colours[b]).mean() <= _CUT_COLOUR:
                    percent = round(100 * (1 - int(bits[row, other]) / 256))
                    key = (min(a, b), max(a, b))
                    found[key] = max(found.get(key, 0), min(99, percent))
    return [(a, b, percent, False) for (a, b), percent in found.items()]


def _rows_at_once(count: int) -> int:
    return max(1, min(256, _CELLS // count))


def _count_bits(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m): in how many of 128 bits each of `some` (2, n) differs from each of `others` (2, m)."""
    high, low = (np.bitwise_count(some[word, :, None] ^ others[word]) for word in (0, 1))
    return np.asarray(high + low)  # at most 128: a byte holds it


def _compare(bits: np.ndarray, one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How alike in percent each of `others` (n, 8, 8, 3) is to `one`, 0 when not enough."""
    colour = np.abs(others - one).mean(axis=(1, 2, 3))
    alike = np.round(100 * (1 - np.maximum(bits / 256, colour / 128))).astype(int)
    enough = ((bits <= _NEAR_BITS) & (colour <= _NEAR_COLOUR)) | (colour <= _SAME_COLOUR)
    return np.where(enough, np.minimum(alike, 99), 0)


def _colours(measures: Sequence[Measures]) -> np.ndarray:
    """(n, 8, 8, 3), each brought to one mean brightness: a lighter copy is still a copy."""
    tiny = np.frombuffer(b"".join(m.tiny for m in measures), np.uint8).astype(np.float32).reshape(-1, 8, 8, 3)
    means = tiny.mean(axis=(1, 2, 3), keepdims=True)
    return tiny * (np.float32(112) / np.maximum(means, 8))


def _words(hashes: list[int]) -> np.ndarray:
    """(2, n) of uint64: the words of each hash, those of one rank side by side."""
    mask = (1 << 64) - 1
    return np.array([[h >> 64 for h in hashes], [h & mask for h in hashes]], np.uint64)


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
