"""ai-toolkit is found by environment or workspace; every fault of it is one sentence with the way out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from backends.contract import files
from backends.contract.aitoolkit import (
    FOLDER,
    PYTHON,
    SETTINGS,
    check_python,
    check_run_folder,
    find_ai_toolkit,
    read_ai_toolkit,
    record_ai_toolkit,
)
from backends.contract.errors import DarkroomError


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.delenv(PYTHON, raising=False)


def make_folder(root: Path, *, trainer="save_now sample_now", configs="validation_config", environment="venv") -> Path:
    """A folder with the files that are looked at."""
    for name, text in (
        ("run.py", ""),
        ("version.py", 'VERSION = "0.12.26"\n'),
        ("toolkit/config_modules.py", configs),
        ("extensions_built_in/sd_trainer/DiffusionTrainer.py", trainer),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if environment:
        (root / environment / "bin").mkdir(parents=True)
        (root / environment / "bin" / "python").symlink_to(sys.executable)
    return root


def text_of(call, *arguments) -> str:
    with pytest.raises(DarkroomError) as refused:
        call(*arguments)
    assert refused.value.field == "backend"
    return refused.value.text


def test_its_version_its_python_and_what_it_can_are_read(tmp_path):
    found = read_ai_toolkit(make_folder(tmp_path / "aitk"))
    assert (found.version, found.python) == ("0.12.26", tmp_path / "aitk" / "venv" / "bin" / "python")
    assert found.saves_on_request
    assert found.samples_on_request
    assert found.judges
    old = read_ai_toolkit(make_folder(tmp_path / "old", trainer="stop", configs="", environment=".venv"))
    assert not (old.saves_on_request or old.samples_on_request or old.judges)


def test_the_environments_python_stays_a_link_for_the_link_makes_it_one(tmp_path):
    found = read_ai_toolkit(make_folder(tmp_path / "aitk"))
    assert found.python.is_symlink()


def test_what_is_wrong_is_said_with_the_way_out(tmp_path):
    assert "There is no folder" in text_of(read_ai_toolkit, tmp_path / "nowhere")
    assert "is not ai-toolkit" in text_of(read_ai_toolkit, tmp_path)
    ancient = make_folder(tmp_path / "ancient")
    (ancient / "extensions_built_in/sd_trainer/DiffusionTrainer.py").unlink()
    assert "git pull" in text_of(read_ai_toolkit, ancient)
    bare = make_folder(tmp_path / "bare", environment="")
    assert "--python PATH" in text_of(read_ai_toolkit, bare)
    assert "There is no Python" in text_of(read_ai_toolkit, bare, tmp_path / "python")
    assert "There is no Python" in text_of(read_ai_toolkit, bare, tmp_path)
    assert read_ai_toolkit(bare, Path(sys.executable)).python == Path(sys.executable)


def test_without_a_setting_it_is_told_how_to_make_one(tmp_path):
    assert "python -m studio setup aitoolkit --folder" in text_of(find_ai_toolkit, tmp_path)
    (tmp_path / SETTINGS).write_text("torn {")
    assert "not set up" in text_of(find_ai_toolkit, tmp_path)


def test_what_was_written_down_is_found_and_the_environment_goes_before(tmp_path, monkeypatch):
    files.write_json(tmp_path / SETTINGS, {"lavis": {"folder": "/elsewhere"}})
    one, two = read_ai_toolkit(make_folder(tmp_path / "one")), make_folder(tmp_path / "two")
    record_ai_toolkit(tmp_path, one)
    assert find_ai_toolkit(tmp_path) == one
    assert json.loads((tmp_path / SETTINGS).read_text())["lavis"] == {"folder": "/elsewhere"}
    monkeypatch.setenv(FOLDER, str(two))
    assert find_ai_toolkit(tmp_path).folder == two
    assert find_ai_toolkit(tmp_path).python == two / "venv" / "bin" / "python"
    monkeypatch.setenv(PYTHON, sys.executable)
    assert find_ai_toolkit(tmp_path).python == Path(sys.executable)


def test_its_python_is_started_once_and_what_it_lacks_is_named(tmp_path):
    folder = make_folder(tmp_path / "aitk")
    check_python(read_ai_toolkit(folder, Path(sys.executable)))
    lame = tmp_path / "python"
    lame.write_text("#!/bin/sh\necho torch diffusers\n")
    os.chmod(lame, 0o755)
    assert "lacks torch, diffusers" in text_of(check_python, read_ai_toolkit(folder, lame))
    lame.write_text("#!/bin/sh\nexit 3\n")
    assert "does not start" in text_of(check_python, read_ai_toolkit(folder, lame))


@pytest.mark.parametrize("part", ["my_cnn", "all_LoRAs", "a_refiner", "x_t2i", "[name]"])
def test_a_path_in_which_it_would_lose_its_checkpoints_is_refused(part):
    assert "begin anew at each Resume" in text_of(check_run_folder, Path("/data") / part / "runs" / "zog")
    check_run_folder(Path("/data/studio/runs/zog-cn"))
