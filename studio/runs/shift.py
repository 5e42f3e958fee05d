"""How far the held-out loss has moved since before training, and whether that is more than chance.

Each evaluation is compared with itself, so that the standard error of the change is far below that of the loss. It is the measure for
base models that know nearly everything: their loss falls by a few per cent at most, where a bundled model's falls to a half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
CLEAR = 3.0  # standard errors: by chance once in 700 judgements


@dataclass(frozen=True)
class Shift:
    """At `step`, as shares of the loss before training: the change (below 0 is better) and its standard error."""

    step: int
    change: float
    error: float

    @property
    def is_clear(self) -> bool:
        """Whether chance alone would hardly do it."""
        return abs(self.change) > CLEAR * self.error

    @property
    def words(self) -> str:
        """As a person says it: “fell by 1.4 % (give or take 0.3 %)”."""
        verb = "fell" if self.change < 0 else "rose"
        return f"{verb} by {100 * abs(self.change):.1f} % (give or take {100 * self.error:.1f} %)"


def read_shifts(events: Sequence[Event]) -> list[Shift]:
    """In the order of the steps; empty where the run does not tell them. A step that was judged twice counts once."""
    found = {int(e["step"]): e for e in events if e.get("t") == "eval" and e.get("loss") is not None}
    start = next((float(e["loss"]) for step, e in sorted(found.items()) if step == 0), 0.0)
    if start <= 0:
        return []
    told = ((step, e.get("change"), e.get("change_se")) for step, e in sorted(found.items()))
    return [Shift(step, float(change) / start, float(error) / start) for step, change, error in told if change is not None and error]


def find_best(shifts: Sequence[Shift]) -> Shift:
    """The judgement with the lowest loss."""
    return min(shifts, key=lambda s: s.change)


def is_clear_rise(shifts: Sequence[Shift]) -> bool:
    """Whether the last judgement is clearly worse than the best one."""
    best = find_best(shifts)
    return shifts[-1].change - best.change > CLEAR * max(best.error, shifts[-1].error)
