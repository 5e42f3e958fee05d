"""Which samples make up which batch: a pure function of the seed and the position, so that a resumed run sees the same."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from backends.contract.caption_reading import draw_drop, draw_order
from backends.contract.chance import mix_seed

Value = TypeVar("Value")
AHEAD = 64  # picks made at once: one by one, between two steps of a model, each costs four times as much


@dataclass(frozen=True)
class Pick:
    """One rank's samples of one micro-step, with what is drawn for each before it is fetched.

    Whether it is mirrored, what is left out, and the number of the order in which its tags are read; without `orders` all captions
    are read as they are written.
    """

    position: int
    indices: list[int]
    flips: list[bool]
    drops: list[frozenset[str]]
    orders: list[int] = field(default_factory=list)

    @property
    def views(self) -> list[tuple[int, bool]]:
        """Each sample and whether it is mirrored."""
        return list(zip(self.indices, self.flips, strict=True))


class Order(Protocol):
    """Tells which samples make up which batch."""

    def pick(self, position: int, rank: int = 0) -> Pick:
        """The samples of `rank` at micro-step `position`, counted from 0 over the whole run."""


class SampleOrder:
    """Batches of one bucket each, always full, every sample equally often in the long run.

    Each bucket is an endless row of permutations of its samples. After `e` passes over all samples a bucket of n
    samples has given floor((e * n + phase) / batch) whole batches; the phase is drawn from the seed, so that no
    bucket has to wait for a full batch before its pictures are seen, on average. Inside a pass the batches of all
    buckets are shuffled. Nothing is drawn in sequence: any position can be asked for at once.

    Args:
        groups: The bucket of each sample.
        batch_size: Samples of one rank's micro-step.
        ranks: Processes; a micro-step takes `batch_size * ranks` samples of one bucket.
        flip_share: How often a sample is mirrored.
        dropped: What is left out of a sample, by a number drawn from 0..1.
        names: Of the samples, by which is drawn what is left out and how tags are ordered; their numbers where none are given.
    """

    def __init__(
        self,
        groups: Sequence[Hashable],
        *,
        seed: int,
        batch_size: int,
        ranks: int = 1,
        flip_share: float = 0.0,
        dropped: Callable[[float], frozenset[str]] = lambda chance: frozenset(),
        names: Sequence[str] | None = None,
    ) -> None:
        self._names = names
        self._seed, self._batch_size, self._ranks = seed, batch_size, ranks
        self._flip_share, self._dropped = flip_share, dropped
        self._whole = batch_size * ranks
        members: dict[Hashable, list[int]] = {}
        for index, group in enumerate(groups):
            members.setdefault(group, []).append(index)
        self._buckets = list(members.values())
        self._phases = [mix_seed(seed, "phase", b) % self._whole for b in range(len(self._buckets))]
        self._before = [0]
        self._epochs = Kept[list[tuple[int, int]]]()
        self._turns = [Kept[np.ndarray]() for _ in self._buckets]
        self._made: tuple[tuple[int, int], list[Pick]] = ((-1, -1), [])

    @property
    def batches_of_pass(self) -> int:
        """Micro-steps of the first pass over all samples."""
        return sum(self._given(b, 1) for b in range(len(self._buckets)))

    def pick(self, position: int, rank: int = 0) -> Pick:
        """The samples of `rank` at micro-step `position`, counted from 0 over the whole run."""
        block, within = divmod(position, AHEAD)
        if self._made[0] != (block, rank):
            self._made = (block, rank), [self._pick(block * AHEAD + i, rank) for i in range(AHEAD)]
        return self._made[1][within]

    def _pick(self, position: int, rank: int) -> Pick:
        while self._before[-1] <= position:
            epoch = len(self._before)
            self._before.append(sum(self._given(b, epoch) for b in range(len(self._buckets))))
        epoch = bisect_right(self._before, position) - 1
        ranges = tuple((self._given(b, epoch), self._given(b, epoch + 1)) for b in range(len(self._buckets)))
        bucket, number = self._epochs.get(epoch, lambda: _shuffle_epoch(self._seed, epoch, ranges))[position - self._before[epoch]]
        first = number * self._whole + rank * self._batch_size
        shown = [self._at(bucket, first + i) for i in range(self._batch_size)]
        named = [(self._names[index] if self._names else str(index), turn) for index, turn in shown]
        random = np.random.Generator(np.random.PCG64(mix_seed(self._seed, "pick", position, 0)))
        own = slice(rank * self._batch_size, (rank + 1) * self._batch_size)
        flips = random.random(self._whole)[own]  # many processes draw what one would
        return Pick(
            position,
            [index for index, _ in shown],
            [bool(f < self._flip_share) for f in flips],
            [self._dropped(draw_drop(self._seed, name, turn)) for name, turn in named],
            [draw_order(self._seed, name, turn) for name, turn in named],
        )

    def _given(self, bucket: int, epoch: int) -> int:
        """Whole batches that a bucket has given before pass `epoch`."""
        return (epoch * len(self._buckets[bucket]) + self._phases[bucket]) // self._whole

    def _at(self, bucket: int, place: int) -> tuple[int, int]:
        """A sample, and how often it was shown before."""
        members = self._buckets[bucket]
        turn, within = divmod(place, len(members))
        drawn = self._turns[bucket].get(turn, lambda: _draw_permutation(self._seed, bucket, turn, len(members)))
        return members[drawn[within]], turn


class Kept(Generic[Value]):
    """The last two of a row of values that are costly to make; batches lie across the border of two."""

    def __init__(self) -> None:
        self._values: dict[int, Value] = {}

    def get(self, number: int, make: Callable[[], Value]) -> Value:
        """The value of a number, made where it is not kept."""
        if number not in self._values:
            self._values = {n: value for n, value in self._values.items() if abs(n - number) == 1}
            self._values[number] = make()
        return self._values[number]


def _shuffle_epoch(seed: int, epoch: int, ranges: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """(bucket, number of its batch) of one pass, in order; `ranges` has each bucket's first and end."""
    batches = [(bucket, number) for bucket, (first, end) in enumerate(ranges) for number in range(first, end)]
    random = np.random.Generator(np.random.PCG64(mix_seed(seed, "epoch", epoch)))
    return [batches[i] for i in random.permutation(len(batches))]


def _draw_permutation(seed: int, bucket: int, turn: int, count: int) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64(mix_seed(seed, "turn", bucket, turn)))
    return random.permutation(count)
