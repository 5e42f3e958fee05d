"""Runs that the real trainer made in a few steps on few pictures: enough to change every picture, not to learn."""

from __future__ import annotations

import json
import time

from backends.contract import files
from backends.contract.rundir import RunDir
from studio.workspace import Workspace
from tests.learning import PRESETS, Trial, prepare, train_warm

_FEW = {"log_every": 5, "sample_every": 0, "held_out_every": 1000, "sample_steps": 4, "lr_warmup_steps": 0, "train_batch_size": 4}


def train_short(workspace: Workspace, run_id: str, backend: str, *, steps: int = 12, pictures: int = 8, held_out: int = 4) -> RunDir:
    """A finished run in the workspace with two checkpoints and its result.

    Raises:
        AssertionError: When the trainer fails; shows the end of its log.
    """
    subject = "edits" if backend.endswith("instruct_pix2pix") else "zog"
    folder = workspace.runs / run_id
    changes = {**_FEW, "max_train_steps": steps, "checkpointing_steps": steps // 2, "learning_rate": 2e-3, "output_dir": str(folder)}
    run = prepare(Trial(subject, 1, backend=backend), folder, **changes)
    lines = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines()]
    few = [line for line in lines if not line["held_out"]][:pictures] + [line for line in lines if line["held_out"]][:held_out]
    run.manifest.write_text("".join(json.dumps(line) + "\n" for line in few), "utf-8")
    began = time.time()
    train_warm(run, cache=folder / "cache")
    assert run.result.is_file(), run.log.read_text("utf-8", "replace")[-3000:]
    base = {"sdxl": "pocket-sdxl", "sd15": "pocket-sd15", "flux": "pocket-flux"}[backend.partition("/")[0]]
    told = {"version": 1, "id": run_id, "name": run_id, "backend": backend, "created": began, "max_steps": steps, "base_model": base}
    files.write_json(
        run.info, {**told, "dataset_id": "", "preset_key": PRESETS[backend], "prompts": [], "trigger_word": "zog", "num_pictures": 8}
    )
    ended = {"began": began, "ended": time.time(), "attempt": 1, "events_offset": 0, "state": "finished", "exit_code": 0}
    files.write_json(run.process, ended)
    return run
