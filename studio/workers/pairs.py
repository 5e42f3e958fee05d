"""The pairs that a run on edits was not trained on: what its checkpoints are judged by."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backends.contract import files
from backends.contract.drawing import fit_size
from backends.contract.errors import DarkroomError
from backends.contract.pictures import cover, open_picture
from backends.contract.rundir import RunDir

SIDES = ("before", "target")


@dataclass(frozen=True)
class Pair:
    """One pair of a run's frozen data set: the picture before, the instruction, and the picture as it should become."""

    id: str
    instruction: str
    before: Path
    target: Path
    width: int
    height: int


def read_pairs(run: RunDir) -> list[Pair]:
    """The pairs held out, or, where none was, those trained on; empty for a run on pictures."""
    if not run.manifest.is_file():
        return []
    rows = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row.get("input_file")]
    return [
        Pair(str(row["id"]), str(row["caption"]), Path(row["input_file"]), Path(row["file"]), int(row["width"]), int(row["height"]))
        for row in ([row for row in rows if row.get("held_out")] or rows)
    ]


def choose_pairs(pairs: Sequence[Pair], names: Sequence[str]) -> list[Pair]:
    """The pairs of these names, in this order: each the id of one, or an instruction, which means all of its pairs.

    Raises:
        DarkroomError: When the run has no such pair.
    """
    chosen: dict[str, Pair] = {}
    for name in names:
        found = [pair for pair in pairs if name in (pair.id, pair.instruction)]
        if not found:
            raise DarkroomError(
                f"There is no held-out pair “{str(name)[:60]}” in this run. It has {len(pairs):,} of them.", field="prompts"
            )
        chosen |= {pair.id: pair for pair in found}
    return list(chosen.values())


def name_sides(pair: Pair, size: tuple[int, int]) -> dict[str, str]:
    """What the two pictures of a pair are called at this size, each by a hash that changes with its file."""
    names = {}
    for side, path in zip(SIDES, (pair.before, pair.target), strict=True):
        try:
            stat = path.stat()
        except OSError:
            raise DarkroomError(
                f"The picture {path.name} of a held-out pair is no longer where it was. Put it back, or choose other pairs.",
                field="prompts",
            ) from None
        text = json.dumps([side, str(path), stat.st_mtime_ns, stat.st_size, *size])
        names[side] = hashlib.sha256(text.encode()).hexdigest()[:32]
    return names


def place_sides(pair: Pair, size: tuple[int, int], folder: Path) -> dict[str, Path]:
    """Both pictures of a pair at this size in `folder`, written where they are not there yet."""
    placed = {}
    for (side, name), source in zip(name_sides(pair, size).items(), (pair.before, pair.target), strict=True):
        placed[side] = folder / f"{name}.png"
        if not placed[side].is_file():
            folder.mkdir(parents=True, exist_ok=True)
            files.write_bytes(placed[side], _png(cover(open_picture(source), *size)))
    return placed


def size_of(pair: Pair, *, resolution: int, step: int) -> tuple[int, int]:
    """The size that a pair is drawn at: its own shape at the area that the run knows."""
    return fit_size(pair.width, pair.height, resolution=resolution, step=step)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
