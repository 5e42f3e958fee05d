"""`setup aitoolkit` writes down where it is, after it has looked."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from backends.contract.aitoolkit import FOLDER, PYTHON, find_ai_toolkit
from studio.cli.root import app
from tests.conftest import ROOT

STAND_IN = ROOT / "tests" / "backends" / "external" / "stand_in"


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """Runs one command on a workspace of its own; (exit code, JSON value)."""
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.delenv(PYTHON, raising=False)

    def run(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments), "--workspace", str(tmp_path), "--json"])
        assert "Traceback" not in done.output
        return done.exit_code, json.loads(done.stdout)

    return run


def test_it_is_written_down_once_it_was_found_good(studio, tmp_path):
    code, value = studio("setup", "aitoolkit", "--folder", STAND_IN, "--python", sys.executable)
    assert code == 0
    assert (value["version"], value["judges"], value["saves_on_request"]) == ("0.0.1", True, True)
    assert find_ai_toolkit(tmp_path).folder == STAND_IN
    assert studio("setup", "aitoolkit") == (0, value)


def test_what_is_not_good_is_not_written_down(studio, tmp_path):
    assert "not set up" in studio("setup", "aitoolkit")[1]["error"]
    code, value = studio("setup", "aitoolkit", "--folder", tmp_path)
    assert (code, value["field"]) == (2, "backend")
    assert "is not ai-toolkit" in value["error"]
    assert "no environment" in studio("setup", "aitoolkit", "--folder", STAND_IN)[1]["error"]
    assert "not set up" in studio("setup", "aitoolkit")[1]["error"]


def test_a_person_reads_a_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    command = ["setup", "aitoolkit", "--folder", str(STAND_IN), "--python", sys.executable, "--workspace", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "Stop saves first" in done.output.replace("\n", " ")
