"""The training picture that a sample comes nearest to, in the plain space of `studio.workers.closeness` (colours on 8 x 8)."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

from backends.contract.rundir import RunDir
from studio.runs.manifest import read_manifest
from studio.workers.closeness import compute_features

MOST = 200  # pictures of the data set that are looked at


def manifest_files(run: RunDir) -> list[Path]:
    """The training pictures of a run, in the manifest's order; those held out are left out."""
    return [Path(row["file"]) for row in read_manifest(run) if not row.get("held_out")]


def find_nearest(run: RunDir, run_id: str, step: int) -> dict[str, dict[str, Any]]:
    """For each sample of `step` (by the name of its file): the address of the nearest picture and the distance, 0 to 255."""
    training = _training_features(run.root, tuple(manifest_files(run)[:MOST]))
    folder = run.sample(step, 0).parent
    if not training or not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.glob("p*_s*.png")):
        own = compute_features(path)
        distance, number = min((_distance(own, other), number) for number, other in training)
        found[path.stem] = {"src": f"/media/run/{run_id}/picture/{number}.webp", "distance": round(distance)}
    return found


@lru_cache(maxsize=8)
def _training_features(root: Path, files: tuple[Path, ...]) -> list[tuple[int, list[int]]]:
    """Computed once a run: its manifest is frozen. Pictures that are gone are left out."""
    found = []
    for number, path in enumerate(files):
        try:
            found.append((number, compute_features(path)))
        except OSError:
            continue
    return found


def _distance(a: list[int], b: list[int]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))
