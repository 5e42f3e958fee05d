"""LoRAs become checkpoints only when they are whole and hold numbers; samples only when they are whole pictures."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import namedtuple

import pytest
import safetensors.numpy
from PIL import Image

from backends.contract import files
from backends.contract.adapter_file import read_adapter_header
from backends.contract.rundir import COMPLETE, complete_checkpoints
from backends.external.adapter_copy import copy_adapter, find_not_finite
from backends.external.harvest import restore
from backends.external.work import NAME
from tests.backends.external.conftest import make_harvest, told, write_lora
from tests.waiting import wait_until

PLAN = [(0, 0, "zog", 42), (0, 1, "zog", 43), (1, 0, "a cat", 42)]


def take(harvest, judged=None, best=None, *, ended=False):
    harvest.take_weights((judged or {}).get, best, ended=ended)


def png(colour=(9, 9, 9)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def test_a_lora_is_taken_when_it_has_stayed_the_same_between_two_looks(work, teller):
    harvest = make_harvest(work, teller)
    write_lora(work.weights(20), 20)
    take(harvest)
    assert complete_checkpoints(work.run) == []
    take(harvest, {20: 0.4})
    assert complete_checkpoints(work.run) == [20]
    take(harvest)
    assert [(e["step"], e["folder"], e["heldout_loss"]) for e in told(work, "checkpoint")] == [(20, "checkpoints/step_000020", 0.4)]


def test_a_loss_that_comes_later_is_told_with_its_checkpoint(work, teller):
    harvest = make_harvest(work, teller)
    write_lora(work.weights(20), 20)
    take(harvest, ended=True)
    take(harvest, {20: 0.4})
    take(harvest, {20: 0.4})
    assert [(e["step"], e["heldout_loss"]) for e in told(work, "checkpoint")] == [(20, None), (20, 0.4)]


def test_the_marker_has_size_and_hash_as_our_own_checkpoints(work, teller):
    write_lora(work.weights(20), 20)
    take(make_harvest(work, teller), ended=True)
    folder = work.run.checkpoint(20)
    marker = files.read_json(folder / COMPLETE)
    assert marker["step"] == 20
    assert marker["files"]["lora.safetensors"]["size"] == (folder / "lora.safetensors").stat().st_size


def test_a_lora_that_is_still_written_waits(work, teller):
    harvest = make_harvest(work, teller)
    write_lora(work.weights(20), 20, cut=10)
    for _ in range(3):
        take(harvest)
    take(harvest, ended=True)
    assert complete_checkpoints(work.run) == []
    write_lora(work.weights(20), 20)
    take(harvest)
    take(harvest)
    assert complete_checkpoints(work.run) == [20]


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32"])
def test_a_lora_with_what_is_no_number_is_told_once_and_never_taken(work, teller, dtype):
    harvest = make_harvest(work, teller)
    write_lora(work.weights(20), 20, dtype=dtype, bad=True)
    for _ in range(4):
        take(harvest)
    assert complete_checkpoints(work.run) == []
    (notice,) = told(work, "notice")
    assert "step 20 holds values that are not numbers" in notice["text"]
    good = write_lora(work.weights(40), 40, dtype=dtype)
    assert find_not_finite(good, read_adapter_header(good)) == ""


def test_the_tensors_are_the_same_and_the_notes_are_added(work, tmp_path):
    source = write_lora(work.weights(20), 20)
    copy_adapter(source, tmp_path / "copy.safetensors", read_adapter_header(source), {"darkroom.recipe": "“zog”"})
    before, after = safetensors.numpy.load_file(source), safetensors.numpy.load_file(tmp_path / "copy.safetensors")
    assert before.keys() == after.keys()
    assert all((before[k] == after[k]).all() for k in before)
    notes = read_adapter_header(tmp_path / "copy.safetensors").metadata
    assert notes["darkroom.recipe"] == "“zog”"
    assert json.loads(notes["training_info"])["step"] == 20


def test_the_last_one_has_no_step_in_its_name(work, teller):
    write_lora(work.final, 100)
    harvest = make_harvest(work, teller, total=100)
    take(harvest, ended=True)
    assert complete_checkpoints(work.run) == [100]
    assert harvest.export() == 100
    assert work.run.result.read_bytes() == work.run.weights(100).read_bytes()


def test_old_ones_go_except_the_best_and_the_kept(work, teller):
    harvest = make_harvest(work, teller, limit=2)
    files.write_json(work.run.kept, {"step": 20})
    for step in (10, 20, 30, 40, 50):
        write_lora(work.weights(step), step)
        take(harvest, best=10, ended=True)
    assert complete_checkpoints(work.run) == [10, 20, 40, 50]


def test_what_an_earlier_attempt_took_is_not_taken_again_even_where_it_was_pruned_since(work, teller):
    for step in (10, 20):
        write_lora(work.weights(step), step)
    take(make_harvest(work, teller), ended=True)
    shutil.rmtree(work.run.checkpoint(10))
    again = make_harvest(work, teller)
    again.skip_old()
    write_lora(work.weights(30), 30)
    take(again, ended=True)
    assert complete_checkpoints(work.run) == [20, 30]


def test_on_a_full_disk_it_waits_and_takes_it_later(work, teller, monkeypatch):
    harvest = make_harvest(work, teller)
    write_lora(work.weights(20), 20)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    take(harvest, ended=True)
    take(harvest, ended=True)
    assert complete_checkpoints(work.run) == []
    assert [e["text"][:17] for e in told(work, "notice")] == ["The disk is full:"]
    monkeypatch.undo()
    take(harvest, ended=True)
    assert complete_checkpoints(work.run) == [20]


def wait_for_tick(work):
    """The clock of a disk moves every few milliseconds; what is changed within one tick has one time."""
    probe = work.run.root / "tick"

    def later():
        probe.write_bytes(b"")
        return probe.stat().st_ctime_ns > work.weights(10).stat().st_ctime_ns

    wait_until(later, "the next tick")


def test_it_is_made_to_go_on_from_our_newest_checkpoint_and_from_no_other(work, teller):
    for step in (10, 20):
        write_lora(work.weights(step), step)
    take(make_harvest(work, teller), ended=True)
    write_lora(work.weights(30), 30, bad=True)
    write_lora(work.final, 100, cut=5)
    work.losses.write_bytes(b"old")
    os.utime(work.weights(10))  # the last to be changed is what it would take
    wait_for_tick(work)
    restore(work, 20)
    found = [p for p in work.output.glob(f"{NAME}*") if p.suffix == ".safetensors"]
    assert sorted(p.name for p in found) == [work.weights(10).name, work.weights(20).name]
    assert max(found, key=os.path.getctime) == work.weights(20)
    harvest = make_harvest(work, teller)
    harvest.skip_old()
    before = len(told(work, "checkpoint"))
    take(harvest, ended=True)
    assert len(told(work, "checkpoint")) == before, "touched, not new"
    assert not work.losses.exists()
    assert {p.name for p in work.output.glob("set-aside*")} == {f"set-aside-{work.weights(30).name}", f"set-aside-{work.final.name}"}


def test_a_file_of_its_that_is_gone_is_put_back_from_our_checkpoint(work, teller):
    write_lora(work.weights(20), 20)
    take(make_harvest(work, teller), ended=True)
    work.weights(20).unlink()
    restore(work, 20)
    assert json.loads(read_adapter_header(work.weights(20)).metadata["training_info"])["step"] == 20


def test_a_fresh_start_finds_nothing_to_go_on_from(work):
    write_lora(work.weights(30), 30, bad=True)
    (work.output / "optimizer.pt").write_bytes(b"state")
    restore(work, 0)
    assert [p.name for p in work.output.iterdir()] == [f"set-aside-{work.weights(30).name}"]


def test_samples_come_to_the_place_where_the_pages_look(work, teller):
    work.samples.mkdir(parents=True)
    for number in range(3):
        (work.samples / f"179528728500{number}__000000020_{number}.png").write_bytes(png((number, 0, 0)))
    make_harvest(work, teller).take_samples(PLAN)
    assert [(e["step"], e["prompt"], e["text"], e["seed"], e["file"]) for e in told(work, "sample")] == [
        (20, 0, "zog", 42, "samples/step_000020/p0_s0.png"),
        (20, 0, "zog", 43, "samples/step_000020/p0_s1.png"),
        (20, 1, "a cat", 42, "samples/step_000020/p1_s0.png"),
    ]
    assert Image.open(work.run.sample(20, 1)).getpixel((0, 0)) == (2, 0, 0)


def test_half_a_picture_and_what_is_no_sample_are_left_alone(work, teller):
    work.samples.mkdir(parents=True)
    torn = work.samples / "1__000000020_0.png"
    torn.write_bytes(png()[:-5])
    (work.samples / "1__000000020_9.png").write_bytes(png())
    (work.samples / "holiday.png").write_bytes(png())
    harvest = make_harvest(work, teller)
    harvest.take_samples(PLAN)
    assert told(work, "sample") == []
    torn.write_bytes(png())
    harvest.take_samples(PLAN)
    assert len(told(work, "sample")) == 1
    assert (work.samples / "holiday.png").exists()
