"""A wish to stop ends a run cleanly in every phase: one end state, exit code 0, nothing lost."""

from __future__ import annotations

import pytest

from backends.contract.rundir import complete_checkpoints
from tests.backends.engine import toy


@pytest.mark.parametrize("signal", ["term", "int"])
def test_a_signal_finishes_the_step_saves_and_ends_well(finished, tmp_path, signal):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault=f"step.after_forward={signal}@5") == 0, run.log.read_text()
    assert toy.last_state(run)["state"] == "stopped"
    assert toy.last_state(run)["step"] == 3
    assert complete_checkpoints(run) == [2, 3]
    assert run.result.is_file()
    assert toy.train(run, "--resume", "latest") == 0
    assert toy.difference(run.result, finished.result) == 0


@pytest.mark.parametrize(
    ("place", "step"), [("load.end", 0), ("cache.entry", 0), ("save.after_adapter", 2), ("sample.batch", 0), ("export.begin", 6)]
)
def test_a_stop_in_any_phase_has_one_clean_end(finished, tmp_path, place, step):
    run = toy.copy_run(finished, tmp_path / "run")
    text = run.config.read_text().replace("sample_every: 0", "sample_every: 2").replace("sample_prompts: []", "sample_prompts: [zog]")
    run.config.write_text(text)
    assert toy.train(run, fault=f"{place}=term") == 0, run.log.read_text()
    ends = [e for e in toy.events_of(run, "state") if e["state"] != "running"]
    assert [(e["state"], e["step"] >= step) for e in ends] == [("finished" if place == "export.begin" else "stopped", True)]
    assert not list(run.root.rglob("*.part"))


def test_the_file_stop_ends_the_run_before_its_first_step(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.control.mkdir()
    run.stop_request.touch()
    assert toy.train(run) == 0
    assert toy.last_state(run)["state"] == "stopped"
    run.stop_request.unlink()
    assert toy.train(run, "--resume", "latest") == 0
    assert toy.difference(run.result, finished.result) == 0


def test_samples_are_drawn_on_request_and_the_request_is_gone(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(run.config.read_text().replace("sample_prompts: []", "sample_prompts: [zog, a cat]"))
    run.control.mkdir()
    run.sample_request.touch()
    assert toy.train(run) == 0
    drawn = toy.events_of(run, "sample")  # sampling is off but for the request
    assert [(e["step"], e["prompt"]) for e in drawn] == [(0, 0), (0, 1)]
    assert all((run.root / e["file"]).is_file() for e in drawn)
    assert not run.sample_request.exists()


def test_both_ranks_stop_at_the_same_step(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(run.config.read_text().replace("num_processes: 1", "num_processes: 2"))
    assert toy.train_ranks(run, fault="step.after_forward=term@5#1") == [0, 0], run.log.read_text()
    assert toy.last_state(run) | {"time": 0} == {"time": 0, "t": "state", "state": "stopped", "step": 3, "reason": ""}
