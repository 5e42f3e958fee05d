"""The real trainer in a real Slurm: two machines of the cluster give what two processes of this one give."""

from __future__ import annotations

import pytest

from backends.contract.launch import LaunchSettings, write_launch
from studio.runs.control import start_run
from tests.backends.engine import toy
from tests.studio.runs.conftest import wait_for_state

pytestmark = pytest.mark.slow


def test_two_machines_of_a_cluster_train_as_one(workspace, slurm, tmp_path, monkeypatch):
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    base = toy.build_base(tmp_path / "base")
    here = toy.make_run(workspace.runs / "here", base, max_train_steps=3, num_processes=2)
    there = toy.copy_run(here, workspace.runs / "there")
    write_launch(there, LaunchSettings(launcher="slurm", num_machines=2, gpus_per_machine=0, slurm_cpus=1, slurm_time="30"))
    start_run(workspace, "there")
    state = wait_for_state(there, "finished", "crashed", "failed", "interrupted", limit_s=280)
    assert state.state == "finished", f"{state}\n{there.log.read_text()[-3000:]}"

    start_run(workspace, "here")
    state = wait_for_state(here, "finished", "crashed", "failed", "interrupted", limit_s=280)
    assert state.state == "finished", f"{state}\n{here.log.read_text()[-3000:]}"
    assert toy.difference(here.result, there.result) == 0.0
    assert [e["loss"] for e in toy.events_of(there, "step")] == [e["loss"] for e in toy.events_of(here, "step")]
