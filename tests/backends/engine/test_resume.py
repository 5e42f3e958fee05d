"""Killed anywhere and resumed, a run ends with the very numbers of a run that nobody disturbed."""

from __future__ import annotations

import json

import pytest

from backends.contract.rundir import complete_checkpoints
from backends.engine import checkpoint as checkpoints
from tests.backends.engine import toy

# Micro-steps are counted from 1 over the whole run; with accumulation 2, number 7 is in the middle of step 4.
PLACES = ["step.after_forward=kill9@1", "step.after_backward=kill9@7", "step.end=kill9@5", "step.after_backward=kill9@12"]


@pytest.mark.parametrize("fault", PLACES)
def test_a_run_killed_in_a_step_ends_as_if_it_had_not_been(finished, tmp_path, fault):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault=fault) == -9
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    assert toy.difference(run.result, finished.result) == 0
    assert toy.last_state(run)["state"] == "finished"


def test_every_state_that_training_needs_is_restored(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="step.end=kill9@3") == -9
    assert toy.train(run, "--resume", "latest", fault="step.end=kill9@2") == -9
    assert toy.train(run, "--resume", "latest") == 0
    for name in (checkpoints.STATE_TENSORS, "lora.safetensors"):
        assert toy.difference(run.checkpoint(6) / name, finished.checkpoint(6) / name) == 0
    mine, theirs = (json.loads((r.checkpoint(6) / checkpoints.STATE_VALUES).read_text()) for r in (run, finished))
    assert mine["judgements"] == theirs["judgements"]
    for kind, told in (("step", ("loss", "lr")), ("eval", ("loss", "change", "change_se"))):
        mine, theirs = ({e["step"]: [e[key] for key in told] for e in toy.events_of(r, kind)} for r in (run, finished))
        assert mine == theirs


def test_a_run_that_draws_samples_trains_the_same(finished, base, tmp_path):
    """Sampling must not touch what training draws."""
    run = toy.copy_run(finished, tmp_path / "run")
    text = run.config.read_text().replace("sample_every: 0", "sample_every: 1").replace("sample_prompts: []", "sample_prompts: [zog]")
    run.config.write_text(text)
    assert toy.train(run) == 0, run.log.read_text()
    assert len(toy.events_of(run, "sample")) == 7
    assert toy.difference(run.result, finished.result) == 0


def test_a_damaged_checkpoint_is_named_set_aside_and_the_one_before_is_taken(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="step.end=kill9@5") == -9
    assert complete_checkpoints(run) == [2, 4]
    path = run.checkpoint(4) / checkpoints.STATE_TENSORS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    told = [e["text"] for e in toy.events_of(run, "notice")]
    assert any("step_000004" in text and "damaged" in text and "step 2" in text for text in told)
    assert (run.checkpoints / "step_000004.damaged").is_dir()
    assert toy.difference(run.result, finished.result) == 0


def test_other_settings_are_refused_with_both_values(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="step.end=kill9@3") == -9
    run.config.write_text(run.config.read_text().replace("learning_rate: 0.01", "learning_rate: 0.02"))
    assert toy.train(run, "--resume", "latest") == 1
    state = toy.last_state(run)
    assert state["state"] == "failed"
    assert "learning_rate was 0.01, is 0.02" in state["reason"]


def test_more_steps_are_allowed(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(run.config.read_text().replace("lr_scheduler: cosine", "lr_scheduler: constant"))
    assert toy.train(run) == 0
    run.config.write_text(run.config.read_text().replace("max_train_steps: 6", "max_train_steps: 8"))
    assert toy.train(run, "--resume", "latest") == 0, run.log.read_text()
    assert toy.last_state(run)["step"] == 8


def test_a_checkpoint_that_does_not_exist_is_told_with_those_that_do(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="step.end=kill9@3") == -9
    assert toy.train(run, "--resume", "step_000003") == 1
    assert "step_000002" in toy.last_state(run)["reason"]


def test_two_ranks_killed_and_resumed_end_as_two_ranks_undisturbed(finished, tmp_path):
    runs = [toy.copy_run(finished, tmp_path / name) for name in ("one", "other")]
    for run in runs:
        run.config.write_text(run.config.read_text().replace("num_processes: 1", "num_processes: 2"))
    assert toy.train_ranks(runs[0]) == [0, 0], runs[0].log.read_text()
    codes = toy.train_ranks(runs[1], fault="step.after_backward=kill9@7#0")
    assert codes[0] == -9 and codes[1] != 0
    assert toy.train_ranks(runs[1], "--resume", "latest") == [0, 0], runs[1].log.read_text()
    assert toy.difference(runs[1].result, runs[0].result) == 0
    assert toy.difference(runs[0].result, finished.result) > 0  # two ranks take twice the pictures a step
