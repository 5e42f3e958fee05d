"""Curves from its database while it writes, and from its progress bar where it does not."""

from __future__ import annotations

import sqlite3

import pytest

from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.external import curve as curves
from backends.external.curve import Curve
from backends.external.losses import read_steps
from backends.external.output import Bar
from tests.backends.external.conftest import told

TABLES = """
CREATE TABLE steps (step INTEGER PRIMARY KEY, wall_time REAL NOT NULL);
CREATE TABLE metrics (step INTEGER NOT NULL, key TEXT NOT NULL, value_real REAL, value_text TEXT, PRIMARY KEY (step, key));
"""


@pytest.fixture
def writer(work):
    """Writes rows as its logger does, in WAL mode, and keeps the file open."""
    connection = sqlite3.connect(work.losses, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(TABLES)

    def write(step, **values):
        connection.execute("INSERT INTO steps VALUES (?, ?)", (step, 1000 + step * 0.5))
        for key, value in values.items():
            connection.execute("INSERT INTO metrics VALUES (?, ?, ?, NULL)", (step, key.replace("__", "/"), value))

    yield write
    connection.close()


def make_curve(work, teller, begin=0):
    return Curve(work, FluxAiToolkitConfig(), teller, begin=begin, num_training=4, num_held_out=1)


def test_each_step_is_told_once_with_loss_rate_speed_and_pass(work, teller, writer):
    curve = make_curve(work, teller)
    for step in (1, 2, 3):
        writer(step, loss__loss=1 / step, learning_rate=1e-4)
    curve.look(None)
    writer(4, loss__loss=0.25, learning_rate=1e-4, val__loss=0.6)
    curve.look(None)
    curve.look(None)
    steps = told(work, "step")
    assert [(e["step"], e["loss"], e["lr"], e["epoch"]) for e in steps] == [
        (1, 1.0, 1e-4, 0),
        (2, 0.5, 1e-4, 0),
        (3, pytest.approx(1 / 3), 1e-4, 0),
        (4, 0.25, 1e-4, 1),
    ]
    assert steps[-1]["steps_per_s"] == 2.0
    assert [(e["step"], e["loss"], e["se"], e["n"]) for e in told(work, "eval")] == [(4, 0.6, None, 4)]
    assert (curve.best(), curve.step, curve.begun) == (4, 4, True)


def test_what_is_no_number_is_told_as_none(work, teller, writer):
    writer(1, loss__loss=float("inf"), learning_rate=1e-4)
    make_curve(work, teller).look(None)
    assert told(work, "step")[0]["loss"] is None


def test_no_database_a_torn_one_and_one_without_tables_say_nothing(work):
    assert read_steps(work.losses, after=0) == []
    sqlite3.connect(work.losses).close()
    assert read_steps(work.losses, after=0) == []
    work.losses.write_bytes(b"torn" * 1000)
    assert read_steps(work.losses, after=0) == []


def test_the_bar_is_believed_only_where_the_database_stays_silent(work, teller, writer, monkeypatch):
    curve = make_curve(work, teller)
    curve.look(Bar("darkroom", 3, 100, 0.5, 1e-4))
    assert told(work, "step") == []
    monkeypatch.setattr(curves, "BAR_AFTER_S", 0.0)
    curve.look(Bar("darkroom", 5, 100, 0.4, 1e-4))
    curve.look(Bar("Caching latents", 9, 10, 0.1, 0.1))
    assert [(e["step"], e["loss"]) for e in told(work, "step")] == [(5, 0.4)]
    writer(6, loss__loss=0.3, learning_rate=1e-4)
    curve.look(Bar("darkroom", 9, 100, 0.2, 1e-4))
    curve.look(Bar("darkroom", 12, 100, 0.1, 1e-4))
    assert [e["step"] for e in told(work, "step")] == [5, 6]


def test_after_a_resume_it_begins_behind_the_checkpoint(work, teller, writer):
    curve = make_curve(work, teller, begin=40)
    assert (curve.step, curve.begun) == (40, False)
    for step in (39, 40, 41):
        writer(step, loss__loss=0.5, learning_rate=1e-4)
    curve.look(None)
    assert [e["step"] for e in told(work, "step")] == [41]
