"""The trainer as the studio starts it: under accelerate launch, as one process and as two."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.backends.engine import toy
from tests.rules.source import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_accelerate_launch_trains_with_as_many_processes_as_asked(base, tmp_path, processes):
    run = toy.make_run(tmp_path / "run", base, max_train_steps=2, num_processes=processes)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes), "--main_process_port", "0"]
    command += ["--multi_gpu"] if processes > 1 else []
    command += ["--mixed_precision", "no", "--num_machines", "1", "--dynamo_backend", "no", "-m", "backends.train"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--config", str(run.config)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert toy.last_state(run)["state"] == "finished"
    assert [e["epoch"] for e in toy.events_of(run, "step")] == ([0, 0] if processes == 1 else [0, 1])
    if processes == 1:  # what other tests show of a trainer that was forked off holds for this one
        forked = toy.copy_run(run, tmp_path / "forked")
        assert toy.train(forked) == 0, forked.log.read_text()
        assert toy.difference(run.result, forked.result) == 0.0
