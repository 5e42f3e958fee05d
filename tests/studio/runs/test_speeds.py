"""Speeds that past runs measured on this machine serve the next forecast; nothing else does."""

from __future__ import annotations

import pytest

from backends.contract import files
from backends.contract.events import EventWriter
from backends.contract.methods.text_to_image import TextToImageConfig
from studio.runs.progress import read_progress
from studio.runs.speeds import find_speed, record_run

CONFIG = TextToImageConfig(resolution=128, train_batch_size=4)


def finish(run, steps_per_s, steps=100):
    writer = EventWriter(run.events)
    writer.write("result", steps=steps, seconds=steps / steps_per_s, steps_per_s=steps_per_s)
    writer.close()


def test_before_the_first_run_nothing_is_known(workspace):
    assert find_speed(workspace, CONFIG) is None


def test_a_like_run_is_taken_as_it_was_and_twice_the_work_takes_about_twice_as_long(workspace, make_run):
    run = make_run(train_batch_size=4)
    finish(run, 8.0)
    record_run(workspace, run)
    assert find_speed(workspace, CONFIG) == pytest.approx(0.125)
    double = find_speed(workspace, CONFIG.model_copy(update={"train_batch_size": 8}))
    assert double == pytest.approx(0.125 * 8.25 / 4.25)


def test_a_run_counts_once_and_one_slow_run_does_not_spoil_the_forecast(workspace, make_run):
    for number, speed in enumerate([8.0, 8.0, 0.5]):
        run = make_run(f"run-{number}", train_batch_size=4)
        finish(run, speed)
        record_run(workspace, run)
        record_run(workspace, run)
    assert len(files.read_json(workspace.root / "speeds.json")) == 3
    assert find_speed(workspace, CONFIG) == pytest.approx(0.125)


@pytest.mark.parametrize("other", [{"gradient_checkpointing": True}, {"mixed_precision": "bf16"}, {"train_batch_size": 256}])
def test_unlike_runs_say_nothing(workspace, make_run, other):
    run = make_run(train_batch_size=4)
    finish(run, 8.0)
    record_run(workspace, run)
    assert find_speed(workspace, CONFIG.model_copy(update=other)) is None


def test_a_run_of_a_few_steps_measured_nothing(workspace, make_run):
    run = make_run()
    finish(run, 8.0, steps=5)
    record_run(workspace, run)
    assert find_speed(workspace, CONFIG) is None


def test_progress_reads_only_what_was_added_and_begins_again_with_a_new_file(make_run):
    run = make_run()
    writer = EventWriter(run.events)
    writer.write("step", step=1, loss=0.5, steps_per_s=2.0)
    assert read_progress(run.events).step == 1
    with run.events.open("ab") as file:
        file.write(b'{"t": "step", "step": 2')  # half a line, as a page may catch it
    assert read_progress(run.events).step == 1
    with run.events.open("ab") as file:
        file.write(b', "loss": 0.4}\nnot json\n')
    assert read_progress(run.events).step == 2
    run.events.write_text('{"t": "step", "step": 7, "loss": 0.1}\n')
    assert read_progress(run.events).step == 7
    writer.close()


def test_time_left_counts_samples_and_judgements_too(make_run):
    run = make_run()
    lines = [f'{{"t": "step", "time": {100 + 2 * n}, "step": {n}, "loss": 0.1, "steps_per_s": 10}}' for n in range(1, 42)]
    run.events.write_text("\n".join(lines) + "\n")
    assert read_progress(run.events).whole_steps_per_s == pytest.approx(0.5)
