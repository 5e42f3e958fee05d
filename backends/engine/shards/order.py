"""Which samples of which shards make up which batch: a pure function of the seed and the position, in bounded memory.

A pass takes the shards in a new order, a window of some at a time. Inside a window batches are dealt as by `SampleOrder`, so that a
run learns from the samples of a window before it turns to the next: the larger a window, the better they are mixed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from backends.contract.chance import mix_seed
from backends.engine.order import Kept, Pick, SampleOrder

WINDOW = 50_000  # samples


class Counted(Protocol):
    """What the order must know of shards."""

    @property
    def sizes(self) -> Sequence[int]:
        """Training samples of each shard."""

    def groups(self, shard: int) -> Sequence[Hashable]:
        """The bucket of each training sample of a shard."""


@dataclass(frozen=True)
class Dealing:
    """How samples are dealt; as `SampleOrder` has it."""

    seed: int
    batch_size: int
    ranks: int = 1
    flip_share: float = 0.0
    dropped: Callable[[float], frozenset[str]] = lambda chance: frozenset()


class ShardOrder:
    """Batches of one bucket each, from one window of shards after the other; numbers of samples count over all shards.

    Args:
        shards: Their sizes and buckets.
        how: Seed and batches.
        window: About how many samples are mixed with each other; whole shards.
    """

    def __init__(self, shards: Counted, how: Dealing, *, window: int = WINDOW) -> None:
        self._shards, self._how = shards, how
        sizes = [size for size in shards.sizes if size]
        self._count = max(1, round(window / max(1, sum(sizes) / max(1, len(sizes)))))
        self._firsts = np.concatenate([[0], np.cumsum(shards.sizes)])
        self._ends = [0]  # of each window so far, in positions
        self._built = Kept[tuple[SampleOrder, np.ndarray]]()

    def pick(self, position: int, rank: int = 0) -> Pick:
        """The samples of `rank` at micro-step `position`, counted from 0 over the whole run."""
        while self._ends[-1] <= position:
            order, _ = self._window(len(self._ends) - 1)
            self._ends.append(self._ends[-1] + order.batches_of_pass)
        number = bisect_right(self._ends, position) - 1
        order, samples = self._window(number)
        found = order.pick(position - self._ends[number], rank)
        return replace(found, position=position, indices=[int(samples[i]) for i in found.indices])

    def _window(self, number: int) -> tuple[SampleOrder, np.ndarray]:
        """The order inside a window, and the number of each of its samples among all."""
        return self._built.get(number, lambda: self._build_window(number))

    def _build_window(self, number: int) -> tuple[SampleOrder, np.ndarray]:
        windows = -(-len(self._shards.sizes) // self._count)
        turn, within = divmod(number, windows)
        random = np.random.Generator(np.random.PCG64(mix_seed(self._how.seed, "shards", turn)))
        chosen = random.permutation(len(self._shards.sizes))[within * self._count : (within + 1) * self._count]
        groups = [group for shard in chosen for group in self._shards.groups(int(shard))]
        samples = np.concatenate([np.arange(self._firsts[shard], self._firsts[shard + 1]) for shard in chosen])
        order = SampleOrder(
            groups,
            seed=mix_seed(self._how.seed, "window", number),
            batch_size=self._how.batch_size,
            ranks=self._how.ranks,
            flip_share=self._how.flip_share,
            dropped=self._how.dropped,
        )
        return order, samples
