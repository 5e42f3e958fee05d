"""A run's events: one JSON object a line in `events.jsonl`, appended by the trainer, read by everyone.

Every event has `t` (its kind) and `time` (seconds since 1970). Kinds and their other keys:

phase       phase (starting | loading | caching | drawing | training | sampling | saving | exporting), done, total, note
step        step, loss (None where it was not a number), lr, steps_per_s, epoch, memory_mib
eval        step, loss (held-out mean), se (its standard error), n (evaluations); from the second on change (of the mean since before
            training, each evaluation against itself) and change_se (its standard error)
pictures    step: picture_losses.json was written anew (with debug_loss)
sample      step, prompt (index), text, seed, file (relative to the run folder); of an edit also before and target
checkpoint  step, folder (relative), heldout_loss
notice      level (info | warning), text: a fallback or a warning, value and reason together
result      lora (relative path), steps, seconds, steps_per_s, heldout_loss_start, heldout_loss_end,
            heldout_loss_ratio, best_step, learned
state       state (running | finished | stopped | failed), step, reason
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

KINDS = ("phase", "step", "eval", "pictures", "sample", "checkpoint", "notice", "result", "state")


class EventWriter:
    """Appends events to one file; each call is one write, so that a reader never sees half a line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def write(self, kind: str, **values: Any) -> None:
        """Appends one event of `kind`."""
        self.write_many([{"t": kind, **values}])

    def write_many(self, events: list[dict[str, Any]]) -> None:
        """Appends several events in one write; each needs its `t`."""
        now = round(time.time(), 3)
        lines = []
        for event in events:
            assert event["t"] in KINDS, event["t"]
            lines.append(json.dumps({"time": now, **event}, ensure_ascii=False, allow_nan=False))
        if lines:
            os.write(self._file, ("\n".join(lines) + "\n").encode("utf-8"))

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


def read_bytes(path: Path, offset: int, limit: int = 4_000_000) -> tuple[bytes, int]:
    """Whole lines of `path` from byte `offset` on, and the offset behind them.

    An offset behind the file's end means that the file was begun again: reading starts at 0. A last line without
    its newline stays for the next call.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return b"", 0
    if offset > size or offset < 0:
        offset = 0
    if offset == size:
        return b"", offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(limit)
    data = data[: data.rfind(b"\n") + 1]
    return data, offset + len(data)


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events of a run, in order. Lines that are not JSON (a torn write of an old crash) are left out."""
    events: list[dict[str, Any]] = []
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return events
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict) and event.get("t") in KINDS:
            events.append(event)
    return events
