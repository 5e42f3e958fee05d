"""A run's events, read once and kept small: a thinned curve however long the run is.

A run of a million steps writes about 150 MB of events. A page that opens it gets at most `2 * MAX_BUCKETS` points a
curve (the lowest and the highest of each stretch of steps, so that no spike is lost) and everything that is not a step.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract import events

MAX_BUCKETS = 1000
SMOOTH = 0.92  # share of the smoothed loss that stays at each point; the same number stands in run.js
_READ_BYTES = 8_000_000
Event = dict[str, Any]


@dataclass
class _Bucket:
    """A stretch of steps: its lowest, highest and last point in the order they came."""

    low: Event
    high: Event
    last: Event

    def points(self) -> list[Event]:
        """The two or three points that are drawn, each once."""
        found = {id(e): e for e in sorted((self.low, self.high, self.last), key=lambda e: e["step"])}
        return list(found.values())

    def take(self, event: Event) -> None:
        """Makes the stretch one step longer."""
        if event["loss"] < self.low["loss"]:
            self.low = event
        elif event["loss"] > self.high["loss"]:
            self.high = event
        self.last = event

    def join(self, other: _Bucket) -> _Bucket:
        """This stretch and the one after it as one."""
        low = self.low if self.low["loss"] <= other.low["loss"] else other.low
        high = self.high if self.high["loss"] >= other.high["loss"] else other.high
        return _Bucket(low, high, other.last)


@dataclass
class RunDigest:
    """What `events.jsonl` says so far, in bounded memory. `offset` is the byte behind the last whole line read."""

    path: Path
    offset: int = 0
    num_steps: int = 0
    others: list[Event] = field(default_factory=list)
    _buckets: list[_Bucket] = field(default_factory=list)
    _in_bucket: int = 0
    _bucket_size: int = 1
    _smooth: float | None = None
    _identity: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> RunDigest:
        """This digest, brought up to the end of the file. A file that was begun again is read again."""
        with self._lock:
            identity = _identity(self.path)
            if identity != self._identity or (self.path.exists() and self.path.stat().st_size < self.offset):
                self._forget(identity)
            while True:
                data, after = events.read_bytes(self.path, self.offset, _READ_BYTES)
                if not data:
                    return self
                for line in data.splitlines():
                    self._take(line)
                self.offset = after

    def events(self) -> list[Event]:
        """All events but the thinned steps, in the order of their steps; a step carries `ema`, the smoothed loss."""
        points = [e for bucket in self._buckets for e in bucket.points()]
        return sorted([*points, *self.others], key=_place)

    def _forget(self, identity: int) -> None:
        self.offset = self.num_steps = self._in_bucket = 0
        self._bucket_size, self._smooth, self._identity = 1, None, identity
        self.others, self._buckets = [], []

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return  # a line that a crash tore
        if not isinstance(event, dict) or event.get("t") not in events.KINDS:
            return
        event["at"] = self.num_steps
        if event["t"] == "step":
            self._take_step(event)
        else:
            if event["t"] == "phase" and self.others and self.others[-1]["t"] == "phase":
                self.others.pop()  # only the last of a row of "caching 1, 2, 3 ..." matters
            self.others.append(event)

    def _take_step(self, event: Event) -> None:
        if not isinstance(event.get("loss"), int | float) or not isinstance(event.get("step"), int):
            return
        if self._buckets and event["step"] <= self._buckets[-1].last["step"]:
            self._rewind(event["step"])
        loss = float(event["loss"])
        self._smooth = loss if self._smooth is None else self._smooth * SMOOTH + loss * (1 - SMOOTH)
        event["ema"] = round(self._smooth, 6)
        self.num_steps += 1
        if self._buckets and self._in_bucket < self._bucket_size:
            self._buckets[-1].take(event)
            self._in_bucket += 1
            return
        self._buckets.append(_Bucket(event, event, event))
        self._in_bucket = 1
        if len(self._buckets) > MAX_BUCKETS:
            pairs = zip(self._buckets[::2], self._buckets[1::2], strict=False)
            odd = self._buckets[-1:] if len(self._buckets) % 2 else []
            self._buckets = [a.join(b) for a, b in pairs] + odd
            self._in_bucket += 0 if odd else self._bucket_size
            self._bucket_size *= 2

    def _rewind(self, step: int) -> None:
        """A resumed run writes again the steps that a crash took: the new ones stand."""
        while self._buckets and self._buckets[-1].last["step"] >= step:
            self._buckets.pop()
        self._in_bucket = self._bucket_size  # the next step opens a stretch of its own
        self._smooth = self._buckets[-1].last["ema"] if self._buckets else None
        self.others = [e for e in self.others if e["t"] != "eval" or e["step"] < step]


def _place(event: Event) -> tuple[int, int]:
    return event["at"], 1 if event["t"] == "step" else 0  # `at` counts the steps before: what is no step stands first


def _identity(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


class Digests:
    """The digests of the runs looked at last."""

    def __init__(self, keep: int = 16) -> None:
        self._keep = keep
        self._known: OrderedDict[Path, RunDigest] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> RunDigest:
        """The digest of this `events.jsonl`, up to date."""
        with self._lock:
            digest = self._known.pop(path, None) or RunDigest(path)
            self._known[path] = digest
            while len(self._known) > self._keep:
                self._known.popitem(last=False)
        return digest.refresh()
