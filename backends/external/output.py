"""What ai-toolkit prints: passed on to the log without bars and secrets, and kept for the reason of a failure."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import IO

KEPT_LINES = 200
MAX_LINE = 4000
_READ_BYTES = 65_536
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
_BAR = re.compile(r"(?:(?P<title>[^|]*?):\s+)?\s*\d+%\|[^|]*\|\s*(?P<done>\d+)/(?P<total>\d+)\s*\[(?P<rest>[^\]]*)")
_FIGURES = re.compile(r"lr: (?P<rate>[\d.eE+-]+) loss: (?P<loss>[\d.eE+-]+)")
log = logging.getLogger("darkroom.aitoolkit")


@dataclass(frozen=True)
class Bar:
    """A progress bar as last seen; `loss` and `rate` where it says them."""

    title: str
    done: int
    total: int
    loss: float | None = None
    rate: float | None = None


def parse_bar(line: str) -> Bar | None:
    """The progress bar in a line, if it is one."""
    match = _BAR.match(line)
    if not match:
        return None
    figures = _FIGURES.search(match["rest"])
    try:
        rate, loss = (float(figures["rate"]), float(figures["loss"])) if figures else (None, None)
    except ValueError:
        rate = loss = None
    return Bar((match["title"] or "").strip(), int(match["done"]), int(match["total"]), loss, rate)


class Output:
    """Reads a stream to its end in a thread of its own, so that whoever writes never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._secrets = [v for k, v in os.environ.items() if _SECRET.search(k.upper()) and len(v) >= 8]
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._bar: Bar | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def bar(self) -> Bar | None:
        """The newest progress bar."""
        with self._lock:
            return self._bar

    def lines(self) -> list[str]:
        """The last lines that are not bars."""
        with self._lock:
            return list(self._lines)

    def finish(self, limit_s: float = 5.0) -> None:
        """Waits until everything is read; a grandchild that keeps the stream open is not waited for."""
        self._thread.join(limit_s)

    def _read(self) -> None:
        pending = b""
        while data := os.read(self._stream.fileno(), _READ_BYTES):
            *whole, pending = re.split(rb"[\r\n]+", pending + data)
            for line in whole:
                self._take(line)
            if len(pending) > _READ_BYTES:  # a line without an end
                self._take(pending)
                pending = b""
        self._take(pending)

    def _take(self, raw: bytes) -> None:
        line = self._clean(raw[:MAX_LINE].decode("utf-8", errors="replace"))
        if not line.strip():
            return
        bar = parse_bar(line)
        with self._lock:
            if bar:
                self._bar = bar
                return
            self._lines.append(line)
        log.info(line)

    def _clean(self, line: str) -> str:
        line = _ESCAPE.sub("", line)
        for secret in self._secrets:
            line = line.replace(secret, "•••")
        return _TOKEN.sub("hf_•••", line).rstrip()
