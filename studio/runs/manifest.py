"""Freezes a data set for a run: which pictures, with which words, and which of them are held out to judge it."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir

if TYPE_CHECKING:
    from studio.datasets.store import DatasetStore


def count_held_out(num_pictures: int, share: float) -> int:
    """How many pictures judge the run: the share of all, at least one, and never the last one left to train on."""
    if share <= 0 or num_pictures < 2:
        return 0
    return min(num_pictures - 1, max(1, math.floor(num_pictures * share)))


def choose_held_out(picture_ids: list[str], share: float) -> set[str]:
    """Ids of the pictures held out: the same for the same pictures, whatever their order and the run's seed.

    So the held-out losses of several runs over one data set can be compared.
    """
    ranked = sorted(set(picture_ids), key=lambda i: hashlib.sha256(f"held out:{i}".encode()).digest())
    return set(ranked[: count_held_out(len(ranked), share)])


def read_rows(datasets: DatasetStore, dataset_id: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The data set as manifest rows, `held_out` still open.

    Raises:
        DarkroomError: When a picture's file is gone.
    """
    rows, missing = [], []
    for picture in datasets.pictures(dataset_id)[:limit]:
        path = datasets.path(dataset_id, picture.id).resolve()
        if not path.is_file():
            missing.append(picture.name)
        rows.append({"id": picture.id, "file": str(path), "caption": picture.text, "width": picture.width, "height": picture.height})
    if missing:
        names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise DarkroomError(f"{len(missing)} of {len(rows)} pictures are gone from the data set: {names}. Add them again, or remove them.")
    return rows


def write_manifest(run: RunDir, rows: list[dict[str, Any]], *, share: float) -> str:
    """Writes manifest.jsonl; the hash over all pictures and captions."""
    held_out = choose_held_out([r["id"] for r in rows], share)
    lines = [json.dumps({**r, "held_out": r["id"] in held_out}, ensure_ascii=False) for r in rows]
    files.write_text(run.manifest, "".join(f"{line}\n" for line in lines))
    return hash_rows(rows)


def hash_rows(rows: list[dict[str, Any]]) -> str:
    """One hash for the pictures and their captions, in whatever order they come."""
    digest = hashlib.sha256()
    for identity in sorted(json.dumps([r["id"], r["caption"]], ensure_ascii=False) for r in rows):
        digest.update(identity.encode("utf-8") + b"\n")
    return digest.hexdigest()


def read_manifest(run: RunDir) -> list[dict[str, Any]]:
    """The rows of a run's manifest; empty where there is none."""
    try:
        return [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
