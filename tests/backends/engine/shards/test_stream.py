"""Samples of shards by their number: those that judge apart, all others once, and hardly more memory for five times as many."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest

from backends.contract.buckets import compute_buckets
from backends.contract.errors import DarkroomError
from backends.contract.shards import find_shards
from backends.engine.shards.order import Dealing, ShardOrder
from backends.engine.shards.stream import MOST_HELD_OUT, BucketedShards, Choice, StreamedItems, StreamedPlacements, choose, open_shards
from backends.engine.sources import PixelReader
from backends.methods.protocol import Item, Shown
from tests.backends.engine.shards.tars import pairs, pictures, write_shards, write_tar

ALONE = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}


def build(rows):
    return [Item(r.id, {"picture": Shown(r.id, r.file, r.width, r.height)}, {"picture": r.caption}, r.held_out) for r in rows]


def open_all(folder, cache, *, held_out_share=0.1, limit=None, pairs=False):
    return open_shards(find_shards(str(folder)), cache, pairs=pairs, held_out_share=held_out_share, limit=limit, share=ALONE)


def test_every_sample_judges_or_teaches_and_none_does_both(tmp_path):
    samples = open_all(write_shards(tmp_path / "shards", shards=4, each=10), tmp_path / "cache", held_out_share=0.2)
    judging = [row.caption for row in samples.held_out_rows()]
    teaching = [samples.row(number).caption for number in range(len(samples))]
    assert len(judging) == 8 and sorted(judging + teaching) == sorted(f"zog number {n}" for n in range(40))


def test_the_same_samples_judge_whatever_the_order_of_the_shards_names(tmp_path):
    one = open_all(write_shards(tmp_path / "shards", shards=4, each=10), tmp_path / "cache", held_out_share=0.2)
    again = open_all(tmp_path / "shards", tmp_path / "other cache", held_out_share=0.2)
    assert [r.id for r in one.held_out_rows()] == [r.id for r in again.held_out_rows()]
    assert one.fingerprint == again.fingerprint
    assert one.fingerprint != open_all(tmp_path / "shards", tmp_path / "cache", held_out_share=0.3).fingerprint


@pytest.mark.parametrize(
    ("count", "share", "judging"), [(100, 0.1, 10), (5, 0.01, 1), (1, 0.5, 0), (100, 0.0, 0), (100_000, 0.5, MOST_HELD_OUT)]
)
def test_how_many_judge(count, share, judging):
    keys = np.random.default_rng(0).integers(0, 2**63, count, np.uint64)
    found = choose(lambda: [keys[: count // 2], keys[count // 2 :]], share, None)
    assert (0 if found.judges < 0 else int((keys <= np.uint64(found.judges)).sum())) == judging


def test_a_limit_takes_so_many_beside_those_that_judge():
    keys = np.arange(10, 110, dtype=np.uint64)
    assert choose(lambda: [keys], 0.1, 30) == Choice(19, 49)


def test_pairs_bring_the_picture_before_along(tmp_path):
    samples = open_all(write_shards(tmp_path / "shards", pairs), tmp_path / "cache", pairs=True)
    made = {f"make it {number}": members for number, (_, members) in enumerate(pairs(24))}
    for number in range(len(samples)):
        row = samples.row(number)
        assert row.file.read_bytes() == made[row.caption]["output.png"]
        assert row.extra["input_file"].read_bytes() == made[row.caption]["input.png"]


def test_shards_whose_samples_all_judge_are_refused(tmp_path):
    write_tar(tmp_path / "shards" / "a.tar", [])
    with pytest.raises(DarkroomError, match="no sample to train on"):
        open_all(tmp_path / "shards", tmp_path / "cache")


def test_memory_hardly_grows_with_five_times_the_samples(tmp_path):
    """Index, order, words, pictures and pixels of one pass, as the trainer walks through them."""
    buckets = compute_buckets(64, 32)

    def walk(folder):
        tracemalloc.start()
        samples = open_all(folder, tmp_path / "cache")
        items = StreamedItems(samples, build)
        order = ShardOrder(BucketedShards(samples, buckets), Dealing(seed=1, batch_size=4), window=200)
        reader = PixelReader(items, StreamedPlacements(items, buckets))
        for position in range(len(samples) // 2):
            reader.read(order.pick(position))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small = partial(pictures, size=(16, 16))
    folders = [write_shards(tmp_path / str(shards), small, shards=shards, each=100) for shards in (8, 40)]
    for folder in folders:
        open_all(folder, tmp_path / "cache")  # looked through once, as before any run
    walk(folders[0])
    few, many = walk(folders[0]), walk(folders[1])
    assert many < 1.3 * few, (few, many)
