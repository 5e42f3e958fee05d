"""Several machines train as one: two “nodes” on this machine, each with the command that is written for it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.contract.config import parse_config, read_config_document
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir
from backends.registry import find_backend
from studio.runs.command import build_command, build_environment, place_of
from studio.runs.hardware import describe_hardware
from tests.backends.engine import toy
from tests.ports import free_port
from tests.rules.source import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
NO_GPU = describe_hardware([], 2, 8.0)


@dataclass
class Node:
    """One machine's launcher, which writes to a file: a pipe nobody reads would stop it, and it is shown where it hangs."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]


@contextmanager
def started(run: RunDir, launch: LaunchSettings, *ranks: int) -> Iterator[list[Node]]:
    document = read_config_document(run.config)
    config = parse_config(find_backend(toy.BACKEND).config, document["config"])
    nodes = []
    try:
        for rank in ranks:
            command = build_command(config, run.root, hardware=NO_GPU, launch=launch, place=place_of(launch, rank))
            environment = {**build_environment(config, run.root / "cache", NO_GPU), "OMP_NUM_THREADS": "1"}
            log = run.root / f"node-{rank}.txt"
            with log.open("wb") as out:
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            nodes.append(Node(process, log))
        yield nodes
    finally:
        for node in nodes:
            with suppress(ProcessLookupError):
                os.killpg(node.process.pid, signal.SIGKILL)
            node.process.wait()


def finish(nodes: list[Node], limit_s: float = 240) -> None:
    """Waits for all of them; where one does not end or ends badly, what each of them said is the message."""
    with suppress(AssertionError):
        wait_until(lambda: all(node.process.poll() is not None for node in nodes), limit_s=limit_s)
    assert [node.process.poll() for node in nodes] == [0] * len(nodes), "\n----\n".join(node.said() for node in nodes)


def test_two_machines_with_a_process_each_equal_one_machine_with_two(base, tmp_path):
    one = toy.make_run(tmp_path / "one", base, max_train_steps=3, num_processes=2)
    two = toy.copy_run(one, tmp_path / "two")
    with started(one, LaunchSettings(), 0) as nodes:
        finish(nodes)

    launch = LaunchSettings(num_machines=2, main_process_ip="127.0.0.1", main_process_port=free_port())
    with started(two, launch, 1, 0) as nodes:  # the second machine may be there first
        finish(nodes)

    assert toy.last_state(two)["state"] == "finished"
    assert toy.difference(one.result, two.result) == 0.0
    assert [e["loss"] for e in toy.events_of(two, "step")] == [e["loss"] for e in toy.events_of(one, "step")]
    assert len(toy.events_of(two, "state")) == len(toy.events_of(one, "state"))  # two machines, one log


def test_a_machine_that_starts_alone_is_told_from_a_run_of_one(base, tmp_path):
    """A hand-typed command of one machine for a run of two: refused before the first step, not trained with half."""
    run = toy.make_run(tmp_path / "run", base, max_train_steps=2, num_processes=2)
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command = [*build_command(parse_config(find_backend(toy.BACKEND).config, {}), run.root, hardware=NO_GPU)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode != 0
    assert "2 processes were asked for" in toy.last_state(run)["reason"]
    assert not toy.events_of(run, "step")
