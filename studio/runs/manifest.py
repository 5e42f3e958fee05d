"""Freezes a data set for a run: which pictures, with which words, and which of them are held out to judge it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.datasets.rows import Picture
from studio.workspace import Workspace


def count_held_out(num_pictures: int, share: float) -> int:
    """How many pictures judge the run: the share of all, at least one, and never the last one left to train on."""
    if share <= 0 or num_pictures < 2:
        return 0
    return min(num_pictures - 1, max(1, round(num_pictures * share)))


def choose_held_out(picture_ids: list[str], share: float) -> set[str]:
    """Ids of the pictures held out: the same for the same pictures, whatever their order and the run's seed.

    So the held-out losses of several runs over one data set can be compared.
    """
    ranked = sorted(set(picture_ids))  # ids are hashes of the content: as good as drawn at random
    return set(ranked[: count_held_out(len(ranked), share)])


def read_rows(workspace: Workspace, dataset_id: str, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """The pictures as manifest rows, `held_out` still open.

    Raises:
        DarkroomError: When a picture's file is gone or is not the one that was added.
    """
    folder = workspace.dataset(dataset_id)
    broken = find_broken(folder, pictures)
    if broken:
        raise DarkroomError(describe_broken(broken, len(pictures)))
    return [
        {"id": p.id, "file": str((folder / p.file).resolve()), "caption": p.text, "width": p.width, "height": p.height} for p in pictures
    ]


def find_broken(folder: Path, pictures: Sequence[Picture]) -> list[str]:
    """Names of the pictures whose files are gone, cannot be read, or have changed since they were added."""
    return [p.name for p in pictures if not _is_whole(folder / p.file, p.sha256)]


def describe_broken(names: list[str], total: int) -> str:
    """The fault as a sentence with the way out."""
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    number = f"{len(names)} of {total} pictures {'is' if len(names) == 1 else 'are'}"
    return f"{number} gone or damaged: {some}. Remove them on the Dataset page and add them again."


_whole: dict[Path, tuple[int, int, str]] = {}


def _is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is the one that was added; hashed again only when it was touched since the last look."""
    try:
        stat = path.stat()
        known = _whole.get(path)
        if known is None or known[:2] != (stat.st_mtime_ns, stat.st_size):
            with path.open("rb") as file:
                known = (stat.st_mtime_ns, stat.st_size, hashlib.file_digest(file, "sha256").hexdigest())
            _whole[path] = known
    except OSError:
        return False
    return stat.st_size > 0 and sha256 in ("", known[2])


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
