"""What a run draws of itself while it trains, counted as its trainer chooses it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.runs.command import OWN_TRAINER, trainer_of
from studio.runs.manifest import read_manifest
from studio.runs.state import read_run_config


@dataclass(frozen=True)
class Drawn:
    """Of how many pairs held out and of how many prompts samples are made; the pairs come first."""

    pairs: int = 0
    prompts: int = 0


def count_drawn(run: RunDir) -> Drawn:
    """What the run really draws: as many pairs as are asked for, at most those held out; nothing where its settings cannot be read."""
    try:
        config = read_run_config(run)
    except DarkroomError:
        return Drawn()
    if trainer_of(config) != OWN_TRAINER and not getattr(config, "sample_every", 0):
        return Drawn()  # another trainer is told of no samples then, and draws none on request either
    asked = int(getattr(config, "num_sample_pairs", 0))
    prompts = len(getattr(config, "sample_prompts", [])) + bool(getattr(config, "validation_prompt", None))
    return Drawn(min(asked, _count_held_out(run)) if asked else 0, prompts)


def _count_held_out(run: RunDir) -> int:
    try:
        changed = run.manifest.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
    return _count_in(run.root, changed)


@lru_cache(maxsize=64)
def _count_in(root: Path, changed: int) -> int:
    """Counted once a manifest, which is frozen with its run."""
    return sum(bool(row.get("held_out")) for row in read_manifest(RunDir(root)))
