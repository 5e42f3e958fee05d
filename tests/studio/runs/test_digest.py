"""A run's events in bounded memory: nothing lost that matters, however long the run."""

from __future__ import annotations

import json
import random

import pytest

from studio.runs.digest import MAX_BUCKETS, SMOOTH, Digests, RunDigest
from studio.workspace import open_workspace
from tests.run_folders import RunWriter, lines_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def write_steps(path, losses, first=1):
    with path.open("a") as file:
        file.writelines(
            json.dumps({"t": "step", "time": 0, "step": first + i, "loss": loss, "lr": 1e-4}) + "\n" for i, loss in enumerate(losses)
        )


def steps_of(digest):
    return [e for e in digest.events() if e["t"] == "step"]


def test_a_short_run_is_kept_whole_and_in_order(tmp_path):
    writer = RunWriter(open_workspace(tmp_path), "zog")
    writer.begin()
    writer.train(1, 100)
    kept = RunDigest(writer.run.events).refresh().events()
    assert [(e["t"], e.get("step")) for e in kept if e["t"] != "phase"] == [
        (e["t"], e.get("step")) for e in lines_of(writer.run.events) if e["t"] != "phase"
    ]


def test_a_long_run_is_thinned_but_keeps_its_spikes_and_its_end(path):
    rng = random.Random(1)
    losses = [0.2 + rng.random() * 0.01 for _ in range(30_000)]
    losses[12_345], losses[21_000] = 9.5, 0.001
    write_steps(path, losses)
    digest = RunDigest(path).refresh()
    points = steps_of(digest)
    assert digest.num_steps == 30_000
    assert len(points) <= 3 * MAX_BUCKETS
    assert {9.5, 0.001} <= {p["loss"] for p in points}
    assert points[-1]["step"] == 30_000
    assert [p["step"] for p in points] == sorted({p["step"] for p in points})


def test_the_smoothed_loss_is_that_of_every_step_not_of_those_that_are_left(path):
    rng = random.Random(2)
    losses = [rng.random() for _ in range(5000)]
    write_steps(path, losses)
    smooth = losses[0]
    for loss in losses[1:]:
        smooth = smooth * SMOOTH + loss * (1 - SMOOTH)
    assert steps_of(RunDigest(path).refresh())[-1]["ema"] == pytest.approx(smooth, abs=1e-5)


def test_reading_in_pieces_gives_the_same_as_reading_at_once(path, tmp_path):
    rng = random.Random(3)
    losses = [rng.random() for _ in range(7000)]
    piecewise = RunDigest(path)
    for start in range(0, 7000, 333):
        write_steps(path, losses[start : start + 333], first=start + 1)
        piecewise.refresh()
    assert steps_of(piecewise) == steps_of(RunDigest(path).refresh())


def test_a_resumed_run_replaces_the_steps_that_a_crash_took(path):
    write_steps(path, [0.9] * 50)
    write_steps(path, [0.1] * 20, first=41)
    points = steps_of(RunDigest(path).refresh())
    assert [p["step"] for p in points] == list(range(1, 61))
    assert {p["loss"] for p in points if p["step"] > 40} == {0.1}


def test_a_torn_line_waits_and_a_broken_one_is_left_out(path):
    path.write_text('{"t": "step", "step": 1, "loss": 0.5}\nnot json\n[1]\n{"t": "strange"}\n{"t": "step", "st')
    digest = RunDigest(path).refresh()
    assert [p["step"] for p in steps_of(digest)] == [1]
    with path.open("a") as file:
        file.write('ep": 2, "loss": 0.4}\n')
    assert [p["step"] for p in steps_of(digest.refresh())] == [1, 2]


def test_a_file_that_was_begun_again_is_read_from_its_beginning(path):
    write_steps(path, [0.5] * 100)
    digest = RunDigest(path).refresh()
    path.unlink()
    write_steps(path, [0.3] * 10)
    assert [p["loss"] for p in steps_of(digest.refresh())] == [0.3] * 10


def test_a_missing_file_is_an_empty_run(path):
    assert RunDigest(path).refresh().events() == []


def test_only_the_runs_looked_at_last_stay_in_memory(tmp_path):
    digests = Digests(keep=2)
    first = digests.of(tmp_path / "a")
    assert digests.of(tmp_path / "a") is first
    digests.of(tmp_path / "b")
    digests.of(tmp_path / "c")
    assert digests.of(tmp_path / "a") is not first
