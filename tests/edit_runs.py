"""Run folders of trainings on edits, with real pairs of the samples and models of random numbers, written as a trainer leaves them."""

from __future__ import annotations

import json
from pathlib import Path

from backends.contract import files
from backends.contract.config import parse_config, write_config
from backends.contract.rundir import COMPLETE, RunDir
from backends.registry import find_backend
from studio.workspace import Workspace
from tests.adapters import write_whole
from tests.learning import Trial, pair_lines
from tests.run_folders import BEGAN

STEPS = (40, 80)


def write_edit_run(workspace: Workspace, run_id: str, *, backend: str = "sd15/instruct_pix2pix", pairs: int = 3) -> RunDir:
    """A finished run with a model that edits at each of STEPS and its result; so many pairs are held out."""
    family, method = backend.split("/")
    base, edits = f"pocket-{family}", method == "instruct_pix2pix"
    run = RunDir(workspace.runs / run_id)
    run.root.mkdir(parents=True)
    settings = {"pretrained_model_name_or_path": base, "resolution": 128, "sample_steps": 3, "report_to": "none", "max_train_steps": 80}
    settings |= {"num_sample_pairs": 2} if edits else {"sample_prompts": ["a cat on a blue background", "a red apple"]}
    write_config(run.config, parse_config(find_backend(backend).config, settings), backend, {})
    write_manifest(run, pairs=pairs)
    told = {"version": 1, "id": run_id, "name": run_id, "backend": backend, "created": BEGAN, "max_steps": 80, "base_model": base}
    files.write_json(run.info, {**told, "dataset_id": "", "preset_key": "", "prompts": [], "trigger_word": "", "num_pictures": 4})
    for step in STEPS:
        folder = run.checkpoint(step)
        write_whole(folder / "unet.safetensors", step, base=base, edits=edits, size=0.2)
        (folder / COMPLETE).touch()
        with run.events.open("a") as events:
            told_event = {"t": "checkpoint", "time": BEGAN + step, "step": step, "folder": str(folder.name), "heldout_loss": 1 / step}
            events.write(json.dumps(told_event) + "\n")
    write_whole(run.root / "unet.safetensors", 99, base=base, edits=edits, size=0.2)
    files.write_json(
        run.process, {"began": BEGAN, "ended": BEGAN + 80, "attempt": 1, "events_offset": 0, "state": "finished", "exit_code": 0}
    )
    return run


def write_manifest(run: RunDir, *, pairs: int) -> list[dict]:
    """A few of the sample pairs to train on, and so many held out."""
    lines = pair_lines(Trial("edits", 0))
    held_out = [line for line in lines if line["held_out"]][:pairs]
    chosen = [line for line in lines if not line["held_out"]][:4] + held_out
    run.manifest.write_text("".join(json.dumps(line) + "\n" for line in chosen), "utf-8")
    return held_out


def sample_picture() -> Path:
    """A picture to edit, of those that nothing is trained on."""
    return Path(next(line for line in pair_lines(Trial("edits", 0)) if line["held_out"])["input_file"])
