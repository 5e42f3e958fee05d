"""Runs with a toy trainer in real processes: supervised, ended and found again as a real one is."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backends.contract import files
from backends.contract.config import write_config
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import RunDir
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.processes import TOKEN, find_members, identify
from studio.runs.state import RunState, read_process, read_state
from studio.workspace import Workspace, open_workspace
from tests.waiting import wait_until

TOY = Path(__file__).with_name("toy_trainer.py")


def kill(*pids: int) -> None:
    """Ends processes by force and comes back when they are gone: a signal takes its time on a busy machine."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(identify(pid) for pid in pids), f"the end of {pids}")


def toy_command(run: RunDir) -> list[str]:
    return [sys.executable, str(TOY), "--config", str(run.config)]


def processes_of(run: RunDir) -> list[int]:
    """Every living process of the run's last attempt, as the kernel tells it."""
    process = read_process(run)
    return find_members(int(process.get("session", 0)), str(process.get("token", "-")))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "workspace")


@pytest.fixture
def make_run(workspace: Workspace) -> Iterator[Callable[..., RunDir]]:
    """Run folders ready to be started, without a data set; whatever they leave running is ended after the test."""
    made: list[RunDir] = []

    def make(name: str = "toy", **settings: object) -> RunDir:
        run = RunDir(workspace.runs / name)
        run.root.mkdir()
        config = TextToImageConfig(**{"resolution": 128, "max_train_steps": 1000, **settings})
        write_config(run.config, config, "sdxl/text_to_image", {"python": "3"})
        files.write_json(run.info, {"id": name, "name": name, "dataset_id": "zog", "max_steps": 1000, "created": time.time()})
        made.append(run)
        return run

    yield make
    for run in made:
        _end(run)


def _end(run: RunDir) -> None:
    process = read_process(run)
    pids = [*processes_of(run), int((process.get("supervisor") or {}).get("pid") or 0)]
    for pid in pids:
        try:
            candidate = psutil.Process(pid)
            if any(str(run.root) in part for part in candidate.cmdline()) or candidate.environ().get(TOKEN) == process.get("token"):
                candidate.kill()
        except psutil.Error:
            continue


def wait_for_state(run: RunDir, *states: str, limit_s: float = 120.0) -> RunState:
    """The run's state once it is one of these."""
    wait_until(lambda: read_state(run).state in states, lambda: f"{states}, is {read_state(run)}", limit_s=limit_s)
    return read_state(run)


def wait_for_step(run: RunDir, step: int) -> None:
    wait_until(lambda: read_state(run).step >= step, lambda: f"step {step}, is {read_state(run)}")


@pytest.fixture
def zog(workspace: Workspace) -> str:
    """Id of a data set with the twelve sample pictures and their captions."""
    datasets = DatasetStore(workspace)
    info = create_sample_dataset(datasets, "zog")
    return info.id
