"""Freezes a data set for a run: which pictures, with which words, and which of them are held out to judge it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.datasets.masks import find_mask
from studio.datasets.pairs import find_pair_faults
from studio.datasets.rows import Picture
from studio.datasets.split import Split, choose_held_out
from studio.runs.reading import FILES, Reading
from studio.workspace import Workspace

_PART, _THREADS = 256, 4  # files of which the untouched are told apart at once, and how many of the others are read side by side


def read_rows(workspace: Workspace, dataset_id: str, pictures: Sequence[Picture], reading: Reading | None = None) -> list[dict[str, Any]]:
    """The pictures as manifest rows, `held_out` still open.

    `mask_file` is the mask of a picture as it is shown. Of an edit pair the row is that of the picture after, which the model
    should make; `input_file` and `input_id` are those of the picture before, and `id` is over both.

    Raises:
        DarkroomError: When a picture's file is gone or is not the one that was added, or a pair is not complete.
    """
    folder = workspace.dataset(dataset_id)
    faults = find_pair_faults(pictures)
    broken = [] if reading is not None and reading.whole else find_broken(folder, pictures, reading)
    if broken:
        faults.insert(0, describe_broken(broken, len(pictures)))
    if faults:
        raise DarkroomError(" ".join(faults))
    root = folder.resolve()
    return [_manifest_row(root, p) for p in pictures]


def _manifest_row(folder: Path, picture: Picture) -> dict[str, Any]:
    sizes = {"width": picture.width, "height": picture.height}
    row = {"id": picture.content, "file": f"{folder}/{picture.file}", "caption": picture.text, **sizes}
    if picture.before is None:
        mask = find_mask(folder, picture) if picture.mask else None
        return row | {"mask_file": str(mask.resolve()), "mask_id": mask.stem} if mask else row
    return row | {"input_file": f"{folder}/{picture.before.file}", "input_id": picture.before.id}


def find_broken(folder: Path, pictures: Sequence[Picture], reading: Reading | None = None) -> list[str]:
    """Names of those of whose files one is gone, cannot be read, or has changed since it was added."""
    broken, reading = list[str](), reading or Reading()
    noun = "pairs" if pictures and pictures[0].before is not None else "pictures"
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(pictures), _PART):
            reading.at(start, f"Looking at the files of {len(pictures):,} {noun}", len(pictures), FILES)
            files_of = [(p.name, [(f"{folder}/{i.file}", i.sha256) for i in p.images]) for p in pictures[start : start + _PART]]
            touched = [path for _, own in files_of for path, _ in own if not _is_known(path)]
            _whole.update(zip(touched, threads.map(_read_state, touched), strict=True))
            broken += [name for name, own in files_of if not all(_is_whole(path, sha256) for path, sha256 in own)]
    return broken


def describe_broken(names: list[str], total: int) -> str:
    """The fault as a sentence with the way out."""
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    number = f"{len(names)} of {total} pictures {'is' if len(names) == 1 else 'are'}"
    return f"{number} gone or damaged: {some}. Remove them on the Dataset page and add them again."


_whole: dict[str, tuple[int, int, str]] = {}


def _is_known(path: str) -> bool:
    """Whether the file was hashed and not touched since."""
    try:
        stat = os.stat(path)
    except OSError:
        _whole.pop(path, None)
        return True  # there is nothing to read
    known = _whole.get(path)
    return known is not None and known[:2] == (stat.st_mtime_ns, stat.st_size)


def _read_state(path: str) -> tuple[int, int, str]:
    """When the file was last written, its size, its hash; what cannot be read has size 0."""
    try:
        stat = os.stat(path)
        with open(path, "rb") as file:
            return stat.st_mtime_ns, stat.st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return 0, 0, ""


def _is_whole(path: str, sha256: str) -> bool:
    known = _whole.get(path)
    return known is not None and known[1] > 0 and sha256 in ("", known[2])


def write_manifest(
    run: RunDir, rows: list[dict[str, Any]], *, share: float, kin: Sequence[Sequence[str]] = (), chosen: Collection[str] = ()
) -> str:
    """Writes manifest.jsonl; the hash over all pictures and captions.

    Args:
        run: Whose it is.
        rows: As `read_rows` gives them.
        share: Of the rows that judge.
        kin: Groups of near copies, which stay on one side.
        chosen: Ids of those that a person chose to judge; where there is one, these judge and the share says nothing.
    """
    inputs = [r["input_id"] for r in rows if "input_id" in r]
    held_out = choose_held_out([r["id"] for r in rows], share, inputs, kin, chosen)
    lines = [json.dumps({**r, "held_out": r["id"] in held_out}, ensure_ascii=False) for r in rows]
    files.write_text(run.manifest, "".join(f"{line}\n" for line in lines))
    return hash_rows(rows)


def require_teachers(split: Split, noun: str) -> None:
    """Refuses a run of which all rows would judge, because a person chose them or near copies of them.

    Raises:
        DarkroomError: With how many judge, and what to do.
    """
    if split.chosen and not split.training:
        raise DarkroomError(
            f"All {split.held_out:,} {noun} would judge ({split.say_chosen()}), and what judges is never learnt from. Let some of them "
            f"teach on the Dataset page, under Judges, or add {noun} that are no copies of them.",
            field="dataset",
        )


def hash_rows(rows: list[dict[str, Any]]) -> str:
    """One hash for the pictures and their captions, in whatever order they come."""
    digest = hashlib.sha256()
    masks = ([r["mask_id"]] if "mask_id" in r else [] for r in rows)
    for identity in sorted(json.dumps([r["id"], r["caption"], *mask], ensure_ascii=False) for r, mask in zip(rows, masks, strict=True)):
        digest.update(identity.encode("utf-8") + b"\n")
    return digest.hexdigest()


def read_manifest(run: RunDir) -> list[dict[str, Any]]:
    """The rows of a run's manifest; empty where there is none."""
    try:
        return [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
