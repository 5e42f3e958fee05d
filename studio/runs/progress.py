"""How far a run is, read from its events; only what was appended since the last look is read again."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.contract.events import read_bytes

Event = dict[str, Any]
MIN_STEPS = 20


@dataclass
class Progress:
    """What the events of one run say, up to byte `offset`."""

    offset: int = 0
    inode: int = 0
    step: int = 0
    phase: str = ""
    phase_note: str = ""
    phase_done: int = 0
    phase_total: int = 0
    steps_per_s: float = 0.0
    memory_mib: float | None = None
    first_time: float = 0.0
    last_time: float = 0.0
    last_sample: str = ""
    state: Event = field(default_factory=dict)
    state_offset: int = 0
    result: Event = field(default_factory=dict)
    heldout_first: float | None = None
    heldout_best: float | None = None
    heldout_last: float | None = None
    train_begin: tuple[int, float] | None = None  # step and time of this attempt's first step

    def take(self, event: Event) -> None:
        """Adds one event."""
        self.first_time = self.first_time or float(event.get("time", 0.0))
        self.last_time = float(event.get("time", self.last_time))
        reader = getattr(self, f"_take_{event.get('t')}", None)
        if reader:
            reader(event)

    def _take_phase(self, event: Event) -> None:
        self.phase, self.phase_note = str(event.get("phase", "")), str(event.get("note") or "")
        self.phase_done, self.phase_total = int(event.get("done") or 0), int(event.get("total") or 0)

    def _take_step(self, event: Event) -> None:
        self.step = int(event["step"])
        self.steps_per_s = float(event.get("steps_per_s") or self.steps_per_s)
        self.memory_mib = event.get("memory_mib", self.memory_mib)
        self.phase = "training"
        self.train_begin = self.train_begin or (self.step, float(event.get("time", 0.0)))

    @property
    def whole_steps_per_s(self) -> float:
        """Steps a second over this attempt, with all that happens between them: judging, samples, saving; 0 before it is known."""
        begin_step, begin_time = self.train_begin or (self.step, 0.0)
        if self.step - begin_step >= MIN_STEPS and self.last_time > begin_time:
            return (self.step - begin_step) / (self.last_time - begin_time)
        return self.steps_per_s

    def _take_eval(self, event: Event) -> None:
        loss = float(event["loss"])
        self.heldout_first = loss if self.heldout_first is None else self.heldout_first
        self.heldout_best = loss if self.heldout_best is None else min(self.heldout_best, loss)
        self.heldout_last = loss

    def _take_sample(self, event: Event) -> None:
        # The first prompt stands for the run: it is the one with the trigger word.
        if not self.last_sample or event.get("prompt") == 0:
            self.last_sample = str(event.get("file", ""))

    def _take_checkpoint(self, event: Event) -> None:
        self.step = max(self.step, int(event.get("step", 0)))

    def _take_state(self, event: Event) -> None:
        self.state = event
        if event.get("state") == "running":
            self.result, self.train_begin = {}, None
        if event.get("step") is not None:
            self.step = int(event["step"])

    def _take_result(self, event: Event) -> None:
        self.result = event


_seen: dict[Path, Progress] = {}
_lock = threading.Lock()


def read_progress(path: Path) -> Progress:
    """What the events in `path` say now."""
    with _lock:
        try:
            stat = path.stat()
        except FileNotFoundError:
            _seen.pop(path, None)
            return Progress()
        progress = _seen.get(path)
        if progress is None or progress.inode != stat.st_ino or stat.st_size < progress.offset:
            progress = _seen[path] = Progress(inode=stat.st_ino)
        while progress.offset < stat.st_size:
            data, offset = read_bytes(path, progress.offset)
            if not data:
                break
            _take_lines(progress, data)
            progress.offset = offset
        return replace(progress)


def _take_lines(progress: Progress, data: bytes) -> None:
    position = progress.offset
    for line in data.splitlines(keepends=True):
        begin, position = position, position + len(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "t" in event:
            progress.take(event)
            if event["t"] == "state":
                progress.state_offset = begin
