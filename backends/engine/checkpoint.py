"""Checkpoints that are whole or not there (see `whole.py`): plain safetensors and JSON, so that nothing in one can run code."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import COMPLETE, RunDir, complete_checkpoints, step_of
from backends.engine.whole import DAMAGED, PART, Writers, mark, mark_synced, write_folder

STATE_TENSORS, STATE_VALUES = "training_state.safetensors", "training_state.json"


@dataclass
class Checkpoint:
    """What a checkpoint holds: the weights with their header and the name of their file, and all that resuming needs."""

    step: int
    file_name: str
    weights: dict[str, torch.Tensor]
    header: dict[str, str]
    optimizer: dict[str, torch.Tensor]
    values: dict[str, Any]


def write_checkpoint(run: RunDir, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint and gives its folder; until the last rename there is none.

    Raises:
        OSError: When the disk is full or cannot be written; nothing half-written stays.
        DarkroomError: When the adapter holds a value that is not a number.
    """
    check_finite(checkpoint.weights, f"What was learnt at step {checkpoint.step}")
    return write_folder(run, checkpoint.step, _writers(checkpoint))


def read_checkpoint(folder: Path) -> Checkpoint:
    """A checkpoint whose files are all as they were written.

    Raises:
        DarkroomError: When a file is missing or differs from what the marker says; names it.
    """
    marker = files.read_json(folder / COMPLETE)
    if not isinstance(marker, dict) or "files" not in marker:
        raise DarkroomError(f"The checkpoint {folder.name} has no readable marker {COMPLETE}.")
    for name, expected in marker["files"].items():
        try:
            found = mark(folder / name)
        except OSError:
            raise DarkroomError(f"The checkpoint {folder.name} lacks {name}.") from None
        if found != expected:
            raise DarkroomError(f"The checkpoint {folder.name} is damaged: {name} is not what was written.")
    weights = next(name for name in marker["files"] if name not in (STATE_TENSORS, STATE_VALUES))
    return Checkpoint(
        step=marker["step"],
        file_name=weights,
        weights=safetensors.torch.load_file(folder / weights),
        header={},
        optimizer=safetensors.torch.load_file(folder / STATE_TENSORS),
        values=json.loads((folder / STATE_VALUES).read_text("utf-8")),
    )


def read_latest(run: RunDir) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and a sentence for each that is not (it is set aside, not deleted)."""
    complaints: list[str] = []
    for step in reversed(complete_checkpoints(run)):
        folder = run.checkpoint(step)
        try:
            return read_checkpoint(folder), complaints
        except DarkroomError as error:
            aside = folder.with_name(folder.name + DAMAGED)
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(folder, aside)
            complaints.append(f"{error.text} It was set aside as {aside.name}.")
    return None, complaints


def write_weights(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> None:
    """Writes a file of weights in one step, readable by everyone."""
    check_finite(tensors, path.name)
    temporary = path.with_name(f".{path.name}{PART}")
    try:
        safetensors.torch.save_file(tensors, temporary, {"format": "pt", **header})
        mark_synced(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    files.sync_folder(path.parent)


def check_finite(tensors: dict[str, torch.Tensor], what: str) -> None:
    """Refuses values that are not numbers.

    Raises:
        DarkroomError: Naming the first tensor.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DarkroomError(
                f"{what} holds values that are not numbers ({name}), so it was not saved. Lower the learning rate and start again."
            )


def find_checkpoint(run: RunDir, wanted: str) -> Path:
    """The folder that a person means by a path or a name such as step_000100.

    Raises:
        DarkroomError: When there is none.
    """
    for folder in (Path(wanted).expanduser(), run.checkpoints / wanted):
        if step_of(folder) is not None and folder.is_dir():
            return folder
    known = ", ".join(run.checkpoint(s).name for s in complete_checkpoints(run)) or "none yet"
    raise DarkroomError(f"There is no checkpoint “{wanted}”. This run has: {known}. Or give latest.", field="resume_from_checkpoint")


def compute_size(checkpoint: Checkpoint) -> int:
    """Bytes that a checkpoint takes on the disk, a little more than less."""
    tensors = [*checkpoint.weights.values(), *checkpoint.optimizer.values()]
    return sum(t.numel() * t.element_size() for t in tensors) + 200 * len(tensors) + 100_000


def _writers(checkpoint: Checkpoint) -> Writers:
    """Tensors go to the disk without a copy in memory."""
    header = {"format": "pt", **checkpoint.header}
    values = json.dumps(checkpoint.values, indent=1).encode()
    return [
        (checkpoint.file_name, "adapter", lambda path: safetensors.torch.save_file(checkpoint.weights, path, header)),
        (STATE_TENSORS, "optimizer", lambda path: safetensors.torch.save_file(checkpoint.optimizer, path)),
        (STATE_VALUES, "values", lambda path: path.write_bytes(values)),
    ]
