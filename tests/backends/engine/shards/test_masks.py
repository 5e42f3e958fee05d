"""Masks in shards: `0001.mask.png` is no picture of its own, and of its picture only what it covers is learnt."""

from __future__ import annotations

import json

import pytest
import torch

from backends.contract.buckets import Bucket, compute_placement
from backends.contract.errors import DarkroomError
from backends.engine.masks import read_mask
from backends.engine.shards.index import MASKED_SAMPLE, SAMPLE, find_mask, index_shard, open_index
from backends.methods.protocol import show_row
from tests.backends.engine import toy
from tests.backends.engine.shards.tars import draw, draw_mask, masked, pictures, write_shards, write_tar
from tests.backends.engine.shards.test_stream import open_all


def test_a_mask_is_found_and_never_taken_for_the_picture(tmp_path):
    members = {"mask.png": draw_mask(24), "png": draw(1), "txt": b"a"}  # whichever comes first
    shard = write_tar(tmp_path / "s.tar", [("1", members), ("2", {"png": draw(2), "masklabel.png": draw_mask(8)}), ("3", {"png": draw(3)})])
    samples = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    assert samples.dtype == MASKED_SAMPLE
    found = [find_mask(shard, sample, "mask") for sample in samples]
    assert [mask and mask.read_bytes() for mask in found] == [draw_mask(24), draw_mask(8), None]
    placement = compute_placement(64, 64, Bucket(64, 64))
    covered = read_mask(found[0], placement, (8, 8))
    assert torch.equal(covered, torch.cat([torch.ones(1, 8, 3), torch.zeros(1, 8, 5)], 2))


def test_shards_without_masks_take_no_more_room(tmp_path):
    shard = write_tar(tmp_path / "s.tar", pictures(3))
    samples = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    assert samples.dtype == SAMPLE and SAMPLE.itemsize == 49
    assert find_mask(shard, samples[0], "mask") is None


def test_a_sample_shows_its_mask(tmp_path):
    folder = write_shards(tmp_path / "shards", masked(24), shards=1, each=4)
    samples = open_all(folder, tmp_path / "cache", held_out_share=0.0)
    assert samples.have_masks
    shown = [show_row(samples.row(number)) for number in range(4)]
    assert [one.mask and one.mask.read_bytes() == draw_mask(24) for one in shown] == [True, None, True, None]


def test_a_mask_of_another_size_is_named(tmp_path):
    shard = write_tar(tmp_path / "s.tar", [("1", {"png": draw(1), "mask.png": draw_mask(8, (32, 64))})])
    with pytest.raises(DarkroomError, match="Sample “1” of the shard .* has a mask of another size than its picture"):
        index_shard(shard, tmp_path / "cache", pairs=False)


def train(tmp_path, base, name, kind, **settings):
    folder = write_shards(tmp_path / name / "shards", kind)
    run = toy.make_run(
        tmp_path / name / "run", base, "sdxl/text_to_image", rows=[], **{"train_data_dir": str(folder), "max_train_steps": 3, **settings}
    )
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    return run


def test_a_run_learns_inside_the_masks_of_its_shards(toy_base, tmp_path):
    base = toy_base("sdxl")
    whole = train(tmp_path, base, "whole", masked(64, every=1), masked_loss=True)
    unasked = train(tmp_path, base, "unasked", masked(64, every=1))
    part = train(tmp_path, base, "part", masked(16, every=1), masked_loss=True)
    assert toy.difference(whole.result, unasked.result) == 0, "a mask that covers all changes nothing"
    assert toy.difference(part.result, unasked.result) > 0
    judging = [json.loads(line) for line in part.manifest.read_text().splitlines()]
    assert all((part.root / "pictures" / f"{row['id']}_mask.picture").read_bytes() == draw_mask(16) for row in judging)
    assert toy.events_of(part, "eval")[0]["loss"] != toy.events_of(unasked, "eval")[0]["loss"], "judged inside the masks too"
