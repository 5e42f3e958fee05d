"""The events of a run that another program trains."""

from __future__ import annotations

import logging
from typing import Any

from backends.contract.events import EventWriter

log = logging.getLogger("darkroom.aitoolkit")


class Teller:
    """Writes events; a notice or a phase that was told is not told again."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._said: set[str] = set()
        self._phase: tuple[str, int, int, str] = ("", 0, 0, "")

    def write(self, kind: str, **values: Any) -> None:
        """One event."""
        self._writer.write(kind, **values)

    def write_many(self, events: list[dict[str, Any]]) -> None:
        """Several events in one write."""
        self._writer.write_many(events)

    def phase(self, phase: str, done: int = 0, total: int = 0, note: str = "") -> None:
        """What the run is busy with."""
        now = (phase, done, total, note)
        if now != self._phase:
            self._phase = now
            self.write("phase", phase=phase, done=done, total=total, note=note)

    def notice(self, text: str, level: str = "info") -> None:
        """A fallback or a warning."""
        if text not in self._said:
            self._said.add(text)
            log.log(logging.WARNING if level == "warning" else logging.INFO, text)
            self.write("notice", level=level, text=text)
