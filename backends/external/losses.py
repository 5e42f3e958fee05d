"""What ai-toolkit writes of every step: its `loss_log.db`, read while it writes."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

LOSS, RATE, JUDGED = "loss/loss", "learning_rate", "val/loss"
_QUERY = """
SELECT s.step, s.wall_time, m.key, m.value_real FROM steps s JOIN metrics m ON m.step = s.step
WHERE s.step > ? ORDER BY s.step
"""


@dataclass(frozen=True)
class StepRow:
    """One step; what was not written is None."""

    step: int
    time: float
    loss: float | None = None
    rate: float | None = None
    judged: float | None = None


def read_steps(path: Path, *, after: int) -> list[StepRow]:
    """The steps behind `after`, in order; none where the file is not there yet or busy."""
    if not path.is_file():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=2.0)) as connection:
            connection.execute("PRAGMA query_only = ON")
            rows = connection.execute(_QUERY, (after,)).fetchall()
    except sqlite3.Error:  # made a moment ago, or busy: the next look finds it
        return []
    found: dict[int, dict[str, float | None]] = {}
    times: dict[int, float] = {}
    for step, time, key, value in rows:
        found.setdefault(int(step), {})[str(key)] = float(value) if value is not None and math.isfinite(value) else None
        times[int(step)] = float(time)
    return [StepRow(step, times[step], v.get(LOSS), v.get(RATE), v.get(JUDGED)) for step, v in found.items()]
