"""What a run tells: events for the studio, scalars for a tracker, sentences for the log. Rank 0 writes, the others keep still."""

from __future__ import annotations

import logging
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from backends.contract.events import EventWriter

log = logging.getLogger("darkroom.train")


class Reporter:
    """Writes events; on other ranks than 0 it only logs."""

    def __init__(self, writer: EventWriter | None) -> None:
        self._writer = writer
        self._said: set[str] = set()

    def write(self, kind: str, **values: Any) -> None:
        """One event."""
        if self._writer:
            self._writer.write(kind, **values)

    def write_many(self, events: list[dict[str, Any]]) -> None:
        """Several events in one write."""
        if self._writer:
            self._writer.write_many(events)

    def phase(self, phase: str, done: int = 0, total: int = 0, note: str = "") -> None:
        """What the run is busy with."""
        self.write("phase", phase=phase, done=done, total=total, note=note)

    def notice(self, text: str, level: str = "info") -> None:
        """A fallback or a warning, once for each text."""
        if text in self._said:
            return
        self._said.add(text)
        log.log(logging.WARNING if level == "warning" else logging.INFO, text)
        self.write("notice", level=level, text=text)


@dataclass
class StepLog:
    """The losses of the steps since they were last written; they stay on the device until then."""

    device: torch.device
    losses: list[torch.Tensor] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, loss: torch.Tensor) -> None:
        """The loss of one step, not read yet."""
        self.losses.append(loss)

    def restart(self) -> None:
        """Begins the window's time anew, because something else than steps took place."""
        self.began = time.monotonic()

    def take(self) -> tuple[list[float], float, float]:
        """(losses read from the device, steps per second, peak memory in MiB); begins a new window."""
        values = torch.stack(self.losses).float().tolist() if self.losses else []
        now = time.monotonic()
        rate = len(values) / max(1e-9, now - self.began)
        if values:
            self.rates.append(rate)
        self.losses, self.began = [], now
        return values, rate, compute_memory_mib(self.device)

    def median_rate(self) -> float:
        """Median of the windows' steps per second; 0 before the first."""
        return statistics.median(self.rates) if self.rates else 0.0


def compute_memory_mib(device: torch.device) -> float:
    """Peak memory so far: the GPU's where there is one, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
