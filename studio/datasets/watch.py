"""How far a long piece of work on a data set is, and whether somebody wants it to end; the same for a page, a command and a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Somebody wanted the work to end, and nothing of it is kept."""


@dataclass
class Watch:
    """What the work tells about itself.

    `what` is the part under way in words; `done` of `total` are counted in `unit` (a `total` of 0 is not known); `part` is the share
    from 0 to 1 where it is known otherwise than by the count; `began` is when this part did. `tell` is called after every change, so
    often that it must be quick.
    """

    tell: Callable[[Watch], None] | None = None
    what: str = ""
    unit: str = "picture"
    done: int = 0
    total: int = 0
    part: float | None = None
    began: float = field(default_factory=time.monotonic, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def begin(self, what: str, total: int = 0, unit: str = "picture") -> None:
        """A new part of the work, counted from 0."""
        self.what, self.total, self.unit, self.done, self.part = what, total, unit, 0, None
        self.began = time.monotonic()
        self._changed()

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count
        self._changed()

    def at(self, part: float) -> None:
        """How far it is, from 0 to 1, where that is known better than by counting."""
        self.part = min(1.0, max(0.0, part))
        self._changed()

    def stop(self) -> None:
        """Asks for the end; the work looks at `stopped` now and then."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether somebody wants it to end."""
        return self._stop.is_set()

    def require_going(self) -> None:
        """Raises `Stopped` where somebody wants the work to end."""
        if self.stopped:
            raise Stopped

    def going(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items until somebody wants the work to end, each counted; what was given out is to be kept."""
        for item in items:
            self.step()
            yield item
            if self.stopped:
                return

    def within(self, start: float, end: float) -> Watch:
        """A watch for a part of the work: what it counts counts here, and its share lies between these two of the whole."""
        before = self.done

        def tell(inner: Watch) -> None:
            share = inner.part if inner.part is not None else inner.done / inner.total if inner.total else 0.0
            self.done, self.unit = before + inner.done, inner.unit
            self.at(start + (end - start) * share)

        inner = Watch(tell)
        inner._stop = self._stop
        return inner

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, each counted when the next one is asked for; raises `Stopped` between two of them."""
        for item in items:
            self.require_going()
            yield item
            self.step()

    def _changed(self) -> None:
        if self.tell:
            self.tell(self)
