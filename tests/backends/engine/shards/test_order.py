"""Batches from shards: every sample about equally often, the same for the same seed, whatever is asked first, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from backends.engine.shards.order import Dealing, ShardOrder


class Counts:
    """So many shards of so many samples, in two buckets or one."""

    def __init__(self, shards, each, buckets=2):
        self.sizes, self._buckets = [each] * shards, buckets

    def groups(self, shard):
        return [("wide" if (shard + i) % 3 or self._buckets == 1 else "tall") for i in range(self.sizes[shard])]

    def bucket(self, number):
        shard, within = divmod(number, self.sizes[0])
        return self.groups(shard)[within]


def test_two_passes_show_each_sample_about_twice_and_a_batch_has_one_bucket():
    counts = Counts(10, 50)
    order = ShardOrder(counts, Dealing(seed=1, batch_size=4), window=100)
    seen = Counter()
    for position in range(2 * 500 // 4):
        pick = order.pick(position)
        assert len({counts.bucket(i) for i in pick.indices}) == 1
        seen.update(pick.indices)
    assert set(range(500)) - set(seen) == set() and max(seen.values()) <= 4


def test_a_window_holds_whole_shards_and_the_next_pass_takes_others_together():
    order = ShardOrder(Counts(10, 50, buckets=1), Dealing(seed=1, batch_size=5), window=100)  # 20 batches a window, 100 a pass
    windows = [{i // 50 for p in range(start, start + 20) for i in order.pick(p).indices} for start in range(0, 200, 20)]
    assert all(len(shards) == 2 for shards in windows)
    for one_pass in (windows[:5], windows[5:]):
        assert set.union(*one_pass) == set(range(10))
    assert windows[:5] != windows[5:]


def test_it_is_a_function_of_seed_and_position_alone():
    def make(seed):
        return ShardOrder(Counts(6, 40), Dealing(seed=seed, batch_size=3, flip_share=0.5), window=80)

    forwards = make(7)
    expected = [forwards.pick(p) for p in range(200)]
    backwards = make(7)
    assert [backwards.pick(p) for p in reversed(range(200))] == expected[::-1]
    assert [make(8).pick(p) for p in range(20)] != expected[:20]


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_what_one_would_take(ranks):
    alone = ShardOrder(Counts(6, 40), Dealing(seed=3, batch_size=8), window=80)
    together = ShardOrder(Counts(6, 40), Dealing(seed=3, batch_size=8 // ranks, ranks=ranks), window=80)
    for position in range(60):
        assert alone.pick(position).indices == [i for rank in range(ranks) for i in together.pick(position, rank).indices]


def test_memory_hardly_grows_with_the_number_of_shards():
    def peak(shards):
        counts = Counts(shards, 200)
        tracemalloc.start()
        order = ShardOrder(counts, Dealing(seed=shards, batch_size=8), window=1000)
        for position in range(25 * shards):
            order.pick(position)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(20)
    few, many = peak(20), peak(200)
    assert many < 1.2 * few, (few, many)  # ten times the samples
