"""Stop: save, then stop, then signals; each has its time, and no signal falls into a save."""

from __future__ import annotations

import signal
import sqlite3

import pytest

from backends.external.job import SAVING, Job
from backends.external.stopping import INTERRUPT_S, SAVE_S, STOP_S, Stopping


class Listener:
    """The process as far as Stop touches it."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        self.signals.append(number)

    def terminate(self) -> None:
        self.signals.append(signal.SIGTERM)


@pytest.fixture
def job(tmp_path) -> Job:
    job = Job(tmp_path / "job.db")
    job.create()
    return job


def asked(job) -> dict[str, int]:
    with sqlite3.connect(job._path) as connection:
        row = connection.execute("SELECT save_now, stop, sample_now FROM Job").fetchone()
    return dict(zip(("save_now", "stop", "sample_now"), row, strict=True))


WAY = {"listens": True, "can_save": True, "saves": False, "busy": False}


def test_it_is_asked_to_save_and_when_it_does_to_stop(job):
    stopping = Stopping(Listener(), job)
    stopping.press(100.0, **WAY)
    stopping.press(101.0, **WAY)
    assert asked(job) == {"save_now": 1, "stop": 0, "sample_now": 0}
    stopping.press(102.0, **{**WAY, "saves": True, "busy": True})
    assert asked(job)["stop"] == 1
    assert stopping.process.signals == []


def test_without_an_answer_each_stage_follows_in_its_time(job):
    stopping, now = Stopping(Listener(), job), 0.0
    for wait, done in ((0, "save"), (SAVE_S, "stop"), (STOP_S, "interrupt"), (INTERRUPT_S, "terminate"), (60, "terminate")):
        now += wait + 0.1
        stopping.press(now, **WAY)
        assert stopping.stage == done
    assert stopping.process.signals == [signal.SIGINT, signal.SIGTERM]
    assert SAVE_S + STOP_S + INTERRUPT_S < 30, "the studio ends everything after that"


def test_no_signal_falls_into_a_save(job):
    stopping = Stopping(Listener(), job)
    stopping.press(0.0, **{**WAY, "can_save": False})
    stopping.press(100.0, **{**WAY, "busy": True})
    assert stopping.process.signals == []
    stopping.press(101.0, **WAY)
    assert stopping.process.signals == [signal.SIGINT]


def test_before_the_first_step_there_is_nothing_to_save(job):
    stopping = Stopping(Listener(), job)
    stopping.press(0.0, **{**WAY, "can_save": False})
    assert asked(job) == {"save_now": 0, "stop": 1, "sample_now": 0}


def test_who_does_not_listen_gets_a_signal_at_once(job):
    stopping = Stopping(Listener(), job)
    stopping.press(0.0, **{**WAY, "listens": False})
    assert stopping.process.signals == [signal.SIGINT]
    assert asked(job) == {"save_now": 0, "stop": 0, "sample_now": 0}


def test_what_was_asked_of_an_earlier_attempt_is_forgotten(job):
    job.ask_to_stop()
    job.ask_to_sample()
    job.create()
    assert asked(job) == {"save_now": 0, "stop": 0, "sample_now": 0}


def test_what_it_says_is_read_and_a_busy_database_says_nothing(job):
    assert job.read().status == "queued"
    with sqlite3.connect(job._path) as connection:
        connection.execute("UPDATE Job SET status = 'running', info = ?", (SAVING,))
    assert job.read().is_saving
    job._path.write_bytes(b"torn")
    assert job.read().status == ""
