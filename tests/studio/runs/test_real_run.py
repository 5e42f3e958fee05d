"""The whole way with the real trainer: pictures, settings, launcher, a sudden death, resume, a LoRA."""

from __future__ import annotations

import os
import signal

import pytest

from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.control import begin_run, resume_run
from studio.runs.preflight import run_preflight
from studio.runs.presets import find_preset
from studio.runs.state import read_process
from studio.runs.store import RunStore
from tests.studio.runs.conftest import processes_of, wait_for_state
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
SHORT = {"max_train_steps": 400, "checkpointing_steps": 4, "sample_every": 0, "held_out_every": 200, "log_every": 1, "seed": 1}


def test_a_killed_trainer_is_resumed_and_leaves_a_lora(workspace, zog):
    preset = find_preset("text_to_image/pocket_quick_look")
    values = {**preset.values_for("zog"), **SHORT}
    checked = run_preflight(workspace, zog, preset.backend, values)
    assert (checked.faults, checked.config is not None) == ([], True)
    assert checked.config is not None
    info = begin_run(workspace, dataset_id=zog, preset_key=preset.key, name="short", backend=preset.backend, config=checked.config)
    run = RunDir(workspace.run(info.id))
    wait_until(lambda: complete_checkpoints(run), "a checkpoint", limit_s=180)
    launcher = int(read_process(run)["launcher"]["pid"])
    trainers = [pid for pid in processes_of(run) if pid != launcher]
    assert trainers
    for pid in trainers:
        os.kill(pid, signal.SIGKILL)
    told = wait_for_state(run, "crashed", "failed", "finished", limit_s=60)
    assert "crashed (signal 9) at step" in told.reason
    assert processes_of(run) == []

    resume_run(workspace, info.id)
    before = max(complete_checkpoints(run))
    wait_until(lambda: max(complete_checkpoints(run)) > before, "a checkpoint after the resume", limit_s=180)
    run.stop_request.touch()
    assert wait_for_state(run, "stopped", "crashed", "failed", limit_s=60).state == "stopped"
    after = RunStore(workspace).get(info.id)
    assert after.step == max(complete_checkpoints(run)) > before
    assert run.result.is_file()
    assert processes_of(run) == []
