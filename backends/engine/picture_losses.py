"""How well each training picture is learnt: its loss at fixed noise before training and now; it finds the mislabelled one.

The loss that a step happens to have for a picture says little, because it depends on the noise level that was drawn. Here every
picture is asked the same question: the same four levels and the same noise. A picture whose caption speaks of something else is
hard from the start and longer than the rest, until it is learnt by heart like them; so the mean over all askings tells it apart,
and the last one alone does not. One that shows something else than its caption may be easy all along, but little of it is learnt:
there the mean against the start tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from backends.contract import files
from backends.contract.chance import mix_seed
from backends.contract.rundir import RunDir
from backends.engine.heldout import LEVELS, FixedEvaluations
from backends.methods.protocol import Item

ASKED_LEVELS = tuple(range(1, LEVELS, 2))
MAX_PICTURES = 256


def plan_picture_evaluations(training: Sequence[int], seed: int) -> list[tuple[int, int, int]]:
    """(sample, level, noise) for each training sample, of many a fair choice; all samples meet the same noise."""
    chosen = sorted(sorted(training, key=lambda i: mix_seed(seed, "asked", i))[:MAX_PICTURES])
    return [(sample, level, level) for sample in chosen for level in ASKED_LEVELS]


class PictureLosses:
    """Keeps picture_losses.json in the run's folder: {"step", "asked", "pictures": [{"id", "name", "start", "mean", "now"}]}."""

    def __init__(self, evaluations: FixedEvaluations, items: Sequence[Item], run: RunDir, *, active: bool) -> None:
        self._evaluations, self._items, self._run, self._active = evaluations, list(items), run, active
        known = files.read_json(run.picture_losses) or {}
        self._asked = int(known.get("asked", 0))
        self._known: dict[str, dict[str, float]] = {p["id"]: p for p in known.get("pictures", [])}

    def measure(self, step: int, compute_losses: Callable[..., torch.Tensor], **ranks: Any) -> None:
        """Asks about every picture and writes the answers down."""
        values = self._evaluations.measure(compute_losses, **ranks).view(-1, len(ASKED_LEVELS)).mean(1).tolist()
        if not self._active:
            return
        rows = [self._row(item, now) for item, now in zip(self._items, values, strict=True)]
        self._asked += 1
        self._known = {row["id"]: row for row in rows}
        files.write_json(self._run.picture_losses, {"step": step, "asked": self._asked, "pictures": rows})

    def _row(self, item: Item, now: float) -> dict[str, Any]:
        before = self._known.get(item.id, {})
        mean = (before.get("mean", 0.0) * self._asked + now) / (self._asked + 1) if before else now
        name = next(iter(item.pictures.values())).file.name
        return {"id": item.id, "name": name, "start": before.get("start", now), "mean": mean, "now": now}
