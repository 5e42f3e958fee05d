"""Checkpoint folders that are whole or not there, whatever they hold. Torch-free.

Written into a temporary folder beside their place, every file synced, the marker with sizes and hashes last, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.rundir import COMPLETE, RunDir, complete_checkpoints
from backends.engine.faults import pass_failpoint

PART, DAMAGED = ".part", ".damaged"
Writers = list[tuple[str, str, Callable[[Path], Any]]]
"""(name, stage, what writes it) of each file."""


def write_folder(run: RunDir, step: int, writers: Writers) -> Path:
    """Writes the folder of a checkpoint and gives it; until the last rename there is none.

    Raises:
        OSError: When the disk is full or cannot be written; nothing half-written stays.
    """
    final = run.checkpoint(step)
    temporary = final.with_name(f".{final.name}{PART}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        pass_failpoint("save.begin")
        marks = {}
        for name, stage, write in writers:
            write(temporary / name)
            marks[name] = mark_synced(temporary / name)
            pass_failpoint(f"save.after_{stage}")
        files.sync_folder(temporary)
        marker = json.dumps({"step": step, "files": marks}, indent=1).encode()
        pass_failpoint("save.before_marker")
        (temporary / COMPLETE).write_bytes(marker)
        mark_synced(temporary / COMPLETE)
        files.sync_folder(temporary)
        pass_failpoint("save.before_rename")
        if final.exists():  # of the same step, from before a resume; values are equal, so either may stay
            shutil.rmtree(final)
        os.rename(temporary, final)
        pass_failpoint("save.after_rename")
        files.sync_folder(run.checkpoints)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    pass_failpoint("save.end")
    return final


def sweep(run: RunDir) -> None:
    """Removes what a killed save left behind."""
    if run.checkpoints.is_dir():
        for folder in run.checkpoints.glob(f".*{PART}"):
            shutil.rmtree(folder, ignore_errors=True)


def prune(run: RunDir, limit: int | None, keep: set[int]) -> list[int]:
    """Deletes the oldest whole checkpoints beyond `limit` (at least 2 stay) and gives their steps.

    `keep` and the step in kept.json are never deleted. A folder loses its marker first, so that a half-deleted one
    never counts.
    """
    if limit is None:
        return []
    pinned = keep | {(files.read_json(run.kept) or {}).get("step")}
    steps = complete_checkpoints(run)
    removed = []
    for step in steps[: max(0, len(steps) - max(2, limit))]:
        if step in pinned:
            continue
        folder = run.checkpoint(step)
        (folder / COMPLETE).unlink()
        pass_failpoint("prune.after_marker")
        shutil.rmtree(folder)
        removed.append(step)
    return removed


def mark_synced(path: Path) -> dict[str, Any]:
    """Size and hash of a file that is on the disk, for all to read, when this returns."""
    files.let_others_read(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return mark(path)


def mark(path: Path) -> dict[str, Any]:
    """Size and hash of a file as it is."""
    with path.open("rb") as file:
        return {"size": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
