"""What captions read before: each with what changed it and when, so that one can be taken back, and a change of many as a whole.

It stands in the table of rows and is bounded: the newest `KEPT_BYTES` of words and their notes are there; what is older is forgotten.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

What = Literal["hand", "captioner", "file", "replace", "trigger", "tags", "say", "confirm", "restore", "undo", "aside"]
KEPT_BYTES = 96_000_000  # eight changes of all of 50,000 captions of 100 characters, and all that one types in years
_NOTE_BYTES = 120  # of an entry beside its words, with its share of the two indexes
_SAME_EDIT_S = 300.0  # what one writer types into one caption within this time is one change


@dataclass(frozen=True)
class Cause:
    """Why captions are changed.

    Args:
        what: By what.
        many: Whether it is to be undone as one.
        detail: What a person reads of it, such as “dog” becomes “cat”.
        writer: The page that a person writes in; two pages are two writers.
        head: What of the data set itself goes back with it: the trigger word and its place.
    """

    what: What = "file"
    many: bool = False
    detail: str = ""
    writer: str = ""
    head: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What a caption read until `time`, and what came then. `version` is the one that it got."""

    number: int
    time: float
    what: What
    text: str
    text_by: str
    version: int
    writer: str


@dataclass(frozen=True)
class Act:
    """A change of many captions. `head` is what goes back with them."""

    act: int
    time: float
    what: What
    detail: str
    count: int
    undone: bool
    head: dict[str, str]

    @property
    def token(self) -> str:
        """What undoes it."""
        return f"caption-{self.act}"


class History:
    """Writes down one change, inside its transaction."""

    def __init__(self, table: sqlite3.Connection, cause: Cause) -> None:
        self._table, self._cause, self._time = table, cause, time.time()
        self._act = 0
        self._count = 0
        self._total: int | None = None  # bytes of all entries ever written, up to the newest

    @property
    def token(self) -> str:
        """What undoes this change; there is none where no caption was changed, or only one that needs none."""
        return f"caption-{self._act}" if self._act else ""

    def note(self, place: int, text: str, text_by: str, version: int) -> None:
        """Keeps what a caption read before it got this version."""
        cause = self._cause
        if cause.what == "hand" and self._goes_on(place, version):
            return
        if cause.many and not self._act:
            self._act = self._begin_act()
        self._write(place, text, text_by, version, cause.what)

    def note_aside(self, place: int, text: str, version: int) -> None:
        """Keeps words that did not become a caption's."""
        found = self._table.execute("SELECT what, text FROM history WHERE place = ? ORDER BY number DESC LIMIT 1", (place,)).fetchone()
        if found != ("aside", text):
            self._write(place, text, "person", version, "aside")

    def lead_on(self, place: int, before: int, version: int) -> None:
        """The change that gave a caption the version `before` leads to this one now: it reads so again, and can be undone in its turn."""
        self._table.execute("UPDATE history SET version = ? WHERE place = ? AND version = ?", (version, place, before))

    def _write(self, place: int, text: str, text_by: str, version: int, what: What) -> None:
        if self._total is None:
            self._total = self._ends()[3]
        self._total += _NOTE_BYTES + len(text.encode("utf-8", "replace"))
        sql = "INSERT INTO history(place, act, time, what, writer, text, text_by, version, total) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._table.execute(sql, (place, self._act, self._time, what, self._cause.writer, text, text_by, version, self._total))
        self._count += 1

    def close(self) -> None:
        """Completes the change, and forgets what is too old."""
        if self._act:
            self._table.execute("UPDATE acts SET count = ? WHERE act = ?", (self._count, self._act))
        if self._count:
            self._forget()

    def _forget(self) -> None:
        first, oldest, last, total = self._ends()
        if total - oldest <= KEPT_BYTES:
            return
        limit = total - KEPT_BYTES * 7 // 8  # an eighth at once, so that this is rare
        while first < last:  # totals grow with the numbers: halves lead to the first one that stays
            middle = (first + last) // 2
            sql = "SELECT total FROM history WHERE number >= ? ORDER BY number LIMIT 1"
            if self._table.execute(sql, (middle,)).fetchone()[0] < limit:
                first = middle + 1
            else:
                last = middle
        self._table.execute("DELETE FROM history WHERE number < ?", (first,))
        self._table.execute("DELETE FROM acts WHERE first < ?", (first,))

    def _ends(self) -> tuple[int, int, int, int]:
        """Number and total of the oldest and of the newest entry."""
        sql = "SELECT number, total FROM history ORDER BY number {} LIMIT 1"
        ends = [self._table.execute(sql.format(order)).fetchone() or (0, 0) for order in ("", "DESC")]
        return (*ends[0], *ends[1])

    def _begin_act(self) -> int:
        (last,) = self._table.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'history'").fetchone()
        head = json.dumps(self._cause.head)
        values = (self._time, self._cause.what, self._cause.detail, last + 1, head)
        made = self._table.execute("INSERT INTO acts(time, what, detail, count, first, head, undone) VALUES (?, ?, ?, 0, ?, ?, 0)", values)
        return int(made.lastrowid or 0)

    def _goes_on(self, place: int, version: int) -> bool:
        """Whether the same page goes on with what it typed a moment ago, so that its first words before that are the ones to keep."""
        sql = "SELECT number, what, writer, time, version FROM history WHERE place = ? AND what <> 'aside' ORDER BY number DESC LIMIT 1"
        found = self._table.execute(sql, (place,)).fetchone()
        if not found or not self._cause.writer:
            return False
        number, what, writer, begun, seen = found
        if (what, writer, seen) != ("hand", self._cause.writer, version - 1) or self._time - begun > _SAME_EDIT_S:
            return False
        self._table.execute("UPDATE history SET version = ? WHERE number = ?", (version, number))
        return True


def read_entries(table: sqlite3.Connection, place: int, limit: int = 50) -> list[Entry]:
    """The changes of one caption, the newest first."""
    sql = "SELECT number, time, what, text, text_by, version, writer FROM history WHERE place = ? ORDER BY number DESC LIMIT ?"
    return [Entry(*values) for values in table.execute(sql, (place, limit))]


def read_entry(table: sqlite3.Connection, place: int, number: int) -> Entry | None:
    """One of the changes of a caption."""
    sql = "SELECT number, time, what, text, text_by, version, writer FROM history WHERE place = ? AND number = ?"
    found = table.execute(sql, (place, number)).fetchone()
    return Entry(*found) if found else None


def read_acts(table: sqlite3.Connection, limit: int = 20) -> list[Act]:
    """The changes of many that are remembered, the newest first."""
    return [_to_act(values) for values in table.execute(f"{_ACTS} ORDER BY act DESC LIMIT ?", (limit,))]


def read_act(table: sqlite3.Connection, token: str) -> Act | None:
    """The change of many that this token undoes."""
    with suppress(ValueError):
        found = table.execute(f"{_ACTS} WHERE act = ?", (int(token.removeprefix("caption-")),)).fetchone()
        return _to_act(found) if found else None
    return None


def entries_of(table: sqlite3.Connection, act: int) -> Iterator[tuple[int, str, Any, int]]:
    """Of all captions that a change touched: place, words before, by whom, and the version that it gave."""
    number = 0
    sql = "SELECT number, place, text, text_by, version FROM history WHERE act = ? AND number > ? ORDER BY number LIMIT 1000"
    while part := table.execute(sql, (act, number)).fetchall():
        yield from (values[1:] for values in part)
        number = part[-1][0]


_ACTS = "SELECT act, time, what, detail, count, undone, head FROM acts"
CAUSES: tuple[What, ...] = get_args(What)


def _to_act(values: tuple[Any, ...]) -> Act:
    act, when, what, detail, count, undone, head = values
    return Act(act, when, what, detail, count, bool(undone), json.loads(head))
