"""A checkpoint is whole or not there, wherever the process dies while it saves."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from backends.contract.errors import DarkroomError
from backends.contract.rundir import COMPLETE, RunDir, complete_checkpoints
from backends.engine import checkpoint as checkpoints
from backends.engine.checkpoint import Checkpoint
from backends.engine.whole import prune
from tests.backends.engine import toy

STAGES = ["begin", "after_adapter", "after_optimizer", "after_values", "before_marker", "before_rename", "after_rename", "end"]


def make_checkpoint(step: int) -> Checkpoint:
    tensors = {"unet.a": torch.full((4, 4), float(step)), "unet.b": torch.arange(3.0)}
    return Checkpoint(step, "lora.safetensors", tensors, {"ss_steps": str(step)}, {"unet.a/exp_avg": torch.ones(4, 4)}, {"step": step})


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_any_stage_of_a_save_leaves_a_whole_checkpoint_and_an_equal_end(finished, tmp_path, stage):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault=f"save.{stage}=kill9@2") == -9
    whole = complete_checkpoints(run)
    assert whole == ([2, 4] if stage in ("after_rename", "end") else [2])
    for step in whole:
        checkpoints.read_checkpoint(run.checkpoint(step))
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    assert toy.difference(run.result, finished.result) == 0
    assert not list(run.checkpoints.glob(".*"))


@pytest.mark.parametrize("stage", ["export.begin", "prune.after_marker"])
def test_a_kill_between_saving_and_ending_is_mended_by_resuming(finished, tmp_path, stage):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(
        run.config.read_text().replace("checkpoints_total_limit: null", "checkpoints_total_limit: 2").replace("steps: 2", "steps: 1", 1)
    )
    assert toy.train(run, fault=f"{stage}=kill9") == -9
    assert len(complete_checkpoints(run)) >= 2
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    assert run.result.is_file()


@pytest.mark.parametrize("name", ["lora.safetensors", checkpoints.STATE_TENSORS, checkpoints.STATE_VALUES, COMPLETE])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_every_damage_to_every_file_is_noticed_and_the_older_one_is_taken(tmp_path, name, damage):
    run = RunDir(tmp_path)
    for step in (2, 4):
        checkpoints.write_checkpoint(run, make_checkpoint(step))
    path = run.checkpoint(4) / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        broken = {"flip": data[:-2] + bytes([data[-2] ^ 255]) + data[-1:], "cut": data[: len(data) // 2], "empty": b""}
        path.write_bytes(broken[damage])
    found, complaints = checkpoints.read_latest(run)
    assert found is not None and found.step == 2
    assert bool(complaints) == (name != COMPLETE or damage != "gone")


def test_a_checkpoint_holds_nothing_that_can_run(tmp_path):
    folder = checkpoints.write_checkpoint(RunDir(tmp_path), make_checkpoint(2))
    assert {p.name for p in folder.iterdir()} == {"lora.safetensors", checkpoints.STATE_TENSORS, checkpoints.STATE_VALUES, COMPLETE}
    safetensors.torch.load_file(folder / "lora.safetensors")
    json.loads((folder / checkpoints.STATE_VALUES).read_text())


def test_files_are_synced_before_the_marker_and_the_marker_before_the_rename(tmp_path, monkeypatch):
    """Data that is not synced may be gone after a power cut, so the order of the calls is the promise."""
    calls: list[str] = []
    synced, renamed = checkpoints.os.fsync, checkpoints.os.rename
    from pathlib import Path

    monkeypatch.setattr(checkpoints.os, "fsync", lambda f: (calls.append(Path(f"/proc/self/fd/{f}").resolve().name), synced(f))[1])
    monkeypatch.setattr(checkpoints.os, "rename", lambda a, b: (calls.append("rename"), renamed(a, b))[1])
    checkpoints.write_checkpoint(RunDir(tmp_path), make_checkpoint(2))
    part = ".step_000002.part"
    files = ["lora.safetensors", checkpoints.STATE_TENSORS, checkpoints.STATE_VALUES]
    assert calls == [*files, part, COMPLETE, part, "rename", "checkpoints"]


def test_old_checkpoints_go_only_beyond_the_limit_and_never_the_best_or_the_kept(tmp_path):
    run = RunDir(tmp_path)
    for step in range(1, 8):
        checkpoints.write_checkpoint(run, make_checkpoint(step))
    run.kept.write_text('{"step": 2}')
    assert prune(run, None, keep=set()) == []
    assert prune(run, 3, keep={3}) == [1, 4]
    assert complete_checkpoints(run) == [2, 3, 5, 6, 7]
    assert prune(run, 1, keep=set()) == [3, 5]  # two stay whatever the limit
    assert complete_checkpoints(run) == [2, 6, 7]


def test_values_that_are_not_numbers_are_never_saved(tmp_path):
    bad = make_checkpoint(2)
    bad.weights["unet.b"][1] = float("nan")
    with pytest.raises(DarkroomError, match="unet.b"):
        checkpoints.write_checkpoint(RunDir(tmp_path), bad)
    assert complete_checkpoints(RunDir(tmp_path)) == []


def test_a_full_disk_waits_and_goes_on_without_losing_a_step(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="save.after_adapter=enospc@2") == 0, run.log.read_text()
    assert any("disk is full" in e["text"] and "MB" in e["text"] for e in toy.events_of(run, "notice"))
    assert complete_checkpoints(run) == [2, 4, 6]
    assert toy.difference(run.result, finished.result) == 0
