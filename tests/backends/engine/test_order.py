"""Which sample comes when is a pure function of seed and position, and fair."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from backends.contract.schedule import compute_epoch, compute_steps
from backends.engine.order import SampleOrder
from backends.methods.prompts import drop_caption

GROUPS = ["square"] * 7 + ["wide"] * 3 + ["tall"]


def test_any_position_can_be_asked_for_in_any_order():
    forwards, backwards = (SampleOrder(GROUPS, seed=3, batch_size=2, flip_share=0.5, dropped=partial(drop_caption, 0.5)) for _ in range(2))
    told = [forwards.pick(i) for i in range(60)]
    assert [backwards.pick(i) for i in reversed(range(60))] == told[::-1]


def test_another_seed_gives_another_order():
    one, other = (SampleOrder(GROUPS, seed=s, batch_size=2) for s in (1, 2))
    assert [one.pick(i) for i in range(20)] != [other.pick(i) for i in range(20)]


@pytest.mark.parametrize(("batch_size", "ranks"), [(1, 1), (2, 1), (4, 1), (2, 2), (16, 1)])
def test_a_batch_has_one_shape_is_full_and_every_sample_comes_equally_often(batch_size, ranks):
    order = SampleOrder(GROUPS, seed=0, batch_size=batch_size, ranks=ranks)
    seen: Counter[int] = Counter()
    positions = 40 * len(GROUPS)
    for position in range(positions):
        for rank in range(ranks):
            pick = order.pick(position, rank)
            assert len(pick.indices) == batch_size
            assert len({GROUPS[i] for i in pick.indices}) == 1
            seen.update(pick.indices)
    wanted = positions * batch_size * ranks / len(GROUPS)
    whole = batch_size * ranks  # a bucket is at most a batch ahead or behind
    assert all(abs(seen[i] - wanted) <= whole + 1 for i in range(len(GROUPS)))


def test_one_bucket_is_gone_through_before_a_sample_comes_again():
    order = SampleOrder(["square"] * 6, seed=0, batch_size=2)
    for turn in range(10):
        assert sorted(i for p in range(3) for i in order.pick(turn * 3 + p).indices) == list(range(6))


def test_ranks_share_a_batch_without_overlap():
    order = SampleOrder(["square"] * 8, seed=0, batch_size=2, ranks=2)
    both = [order.pick(p, r).indices for p in range(2) for r in range(2)]
    assert sorted(sum(both, [])) == list(range(8))


def test_flips_and_drops_come_as_often_as_asked():
    order = SampleOrder(["square"] * 8, seed=0, batch_size=4, flip_share=0.5, dropped=partial(drop_caption, 0.1))
    picks = [order.pick(p) for p in range(1000)]
    assert 0.45 < sum(sum(p.flips) for p in picks) / 4000 < 0.55
    assert 0.07 < sum(len(dropped) for p in picks for dropped in p.drops) / 4000 < 0.13


def test_passes_become_steps_and_steps_passes():
    assert compute_steps(11, epochs=4, batch_size=4) == 11
    assert compute_steps(1, epochs=1, batch_size=16) == 1
    assert compute_epoch(11, step=11, batch_size=4) == 4
    assert compute_epoch(11, step=10, batch_size=4) == 3
