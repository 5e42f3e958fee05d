"""How near drawn pictures come to the data set, in a simple space that is said plainly: colours on an 8 x 8 grid.

A picture is cut to its middle square, brought to 8 x 8 px (each the mean of its part) and read as 192 numbers. The
distance of two pictures is the root of their mean squared difference, 0 to 255; a drawn picture's distance is that to
the nearest training picture. Closeness of a checkpoint = 1 - its mean distance / the base's, cut at 0: 0 is no nearer
than the base without LoRA, 1 is on top of the training pictures. It sees colours and rough layout, no detail, and says
little for styles; and a checkpoint that copies its training pictures scores high, so it never decides alone.
Likeness of an edit, in the same space: 1 - its distance from the wanted picture / that of the picture before, cut at 0.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

from PIL import Image

from backends.contract.rundir import RunDir

log = logging.getLogger(__name__)
GRID = 8
TELLING = 4.0
MAX_PICTURES = 200


def compute_closeness(run: RunDir, drawn: dict[int, list[Path]]) -> dict[int, float]:
    """Closeness by step, 0 to 1, for the steps whose pictures all exist; empty without the base's (step 0).

    Args:
        run: The run, whose manifest names its training pictures.
        drawn: Step -> its pictures.
    """
    training = [f for f in (_features_or_none(p) for p in _training_pictures(run)) if f]
    if not training:
        return {}
    distances = {}
    for step, pictures in drawn.items():
        if pictures and all(p.is_file() for p in pictures):
            nearest = [min(_distance(compute_features(p), t) for t in training) for p in pictures]
            distances[step] = sum(nearest) / len(nearest)
    if not distances.get(0):
        return {}
    return {step: round(max(0.0, 1 - d / distances[0]), 4) for step, d in distances.items()}


def compute_likeness(before: list[Path], target: list[Path], drawn: dict[int, list[Path]]) -> dict[int, float]:
    """How much of the way from the pictures before to the wanted ones each step's edits have gone, 0 to 1, by step.

    Pairs whose two pictures hardly differ in this space tell nothing and are left out; so are steps that are not drawn whole.
    """
    pairs = [(compute_features(b), compute_features(t)) for b, t in zip(before, target, strict=True)]
    telling = [i for i, (b, t) in enumerate(pairs) if _distance(b, t) >= TELLING]
    found = {}
    for step, pictures in drawn.items():
        if telling and all(pictures[i].is_file() for i in telling):
            left = [_distance(compute_features(pictures[i]), pairs[i][1]) / _distance(*pairs[i]) for i in telling]
            found[step] = round(sum(max(0.0, 1 - share) for share in left) / len(left), 4)
    return found


def compute_features(path: Path) -> list[int]:
    """192 numbers from 0 to 255: red, green and blue on an 8 x 8 grid, row by row."""
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        small = picture.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX, box=(left, top, left + side, top + side))
    return list(small.tobytes())


def _features_or_none(path: Path) -> list[int] | None:
    try:
        return compute_features(path)
    except OSError as error:  # deleted or moved since the run: the others still tell
        log.info("%s is left out: %s", path, error)
        return None


def _training_pictures(run: RunDir) -> list[Path]:
    if not run.manifest.is_file():
        return []
    lines = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
    return [Path(line["file"]) for line in lines if not line.get("held_out")][:MAX_PICTURES]


def _distance(a: list[int], b: list[int]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))
