"""A run's curves from what ai-toolkit writes and prints, as events."""

from __future__ import annotations

import statistics
import time
from collections import deque
from typing import Any

from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.schedule import compute_epoch
from backends.external.document import NOISE_LEVELS
from backends.external.losses import StepRow, read_steps
from backends.external.output import Bar
from backends.external.tell import Teller
from backends.external.work import NAME, Work

RATES_KEPT = 20
BAR_AFTER_S = 10.0
"""So long its database may be silent before the progress bar, which tells less, is believed instead."""


class Curve:
    """The steps of one attempt, each told once.

    Args:
        work: Where its database lies.
        config: The run's settings.
        teller: Where events go.
        begin: The step that the attempt goes on from.
        num_training: Pictures that are learnt from.
        num_held_out: Pictures that judge.
    """

    def __init__(
        self, work: Work, config: FluxAiToolkitConfig, teller: Teller, *, begin: int, num_training: int, num_held_out: int
    ) -> None:
        self._work, self._config, self._teller = work, config, teller
        self._num_training, self._num_held_out = num_training, num_held_out
        self._intervals: deque[float] = deque(maxlen=RATES_KEPT)
        self._last_row: StepRow | None = None
        self._silent_since: float | None = None
        self.judged: dict[int, float] = {}
        """Held-out losses of this attempt, by step."""
        self.step = begin
        """The newest step that was told."""
        self.begun = False
        """Whether this attempt has made a step."""

    @property
    def steps_per_s(self) -> float:
        """The middle of the newest speeds; 0 before the second step."""
        return 1 / statistics.median(self._intervals) if self._intervals else 0.0

    def best(self) -> int | None:
        """The step with the lowest held-out loss of this attempt."""
        return min(self.judged, key=self.judged.__getitem__, default=None)

    def look(self, bar: Bar | None) -> None:
        """Tells what is new."""
        rows = read_steps(self._work.losses, after=self.step)
        if rows:
            self._teller.write_many([event for row in rows for event in self._events(row)])
            return
        if self._last_row or bar is None or bar.title != NAME or bar.loss is None or bar.done <= self.step:
            return
        self._silent_since = self._silent_since or time.monotonic()
        if time.monotonic() - self._silent_since >= BAR_AFTER_S:
            self._teller.notice("ai-toolkit writes no losses to its database, so they are read from its progress bar, some steps only.")
            self._teller.write_many(self._events(StepRow(bar.done, time.time(), bar.loss, bar.rate), from_bar=True))

    def _events(self, row: StepRow, *, from_bar: bool = False) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        self.begun = True
        if row.loss is not None or row.rate is not None:
            self._time(row, from_bar=from_bar)
            events.append(
                {
                    "t": "step",
                    "step": row.step,
                    "loss": row.loss,
                    "lr": row.rate,
                    "steps_per_s": round(self.steps_per_s, 4),
                    "epoch": self._epoch(row.step),
                }
            )
        if row.judged is not None:
            self.judged[row.step] = row.judged
            events.append({"t": "eval", "step": row.step, "loss": row.judged, "se": None, "n": self._num_held_out * len(NOISE_LEVELS)})
        self.step = row.step
        return events

    def _time(self, row: StepRow, *, from_bar: bool) -> None:
        before = self._last_row
        if before and row.step == before.step + 1 and row.time > before.time:
            self._intervals.append(row.time - before.time)
        if not from_bar:
            self._last_row = row

    def _epoch(self, step: int) -> int:
        c = self._config
        return compute_epoch(self._num_training, step=step, batch_size=c.train_batch_size, accumulation=c.gradient_accumulation_steps)
