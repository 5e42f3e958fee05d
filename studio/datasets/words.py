"""The words and tags of captions, and in how many of them each stands: counted once, then kept up to date by what changed."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from backends.contract.caption_reading import split_tags
from studio.datasets.index import PictureIndex

_SMALL_WORDS = "a an the of and or on in at with is are its it to his her their for from by as"
SMALL = frozenset(_SMALL_WORDS.split())
_PARTS = re.compile(r"[,;.\n]+")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_LONG_TAG = 80  # characters; what is longer between two commas is a sentence
_MOST_SETS = 4  # whose counts are kept at once
_RECENT, _MOST_TYPED = 2000, 20_000  # captions of which it is known how they were counted


def find_phrases(text: str) -> set[str]:
    """The words of a caption in small letters, without a, the, of...; two useful words alone between commas stay together."""
    found: set[str] = set()
    for part in _PARTS.split(text.lower()):
        words = [word for word in (_EDGES.sub("", piece) for piece in part.split()) if word]
        useful = [word for word in words if word not in SMALL]
        if len(words) == 2 == len(useful):
            found.add(" ".join(words))
        else:
            found.update(useful)
    return found


@dataclass(frozen=True)
class _State:
    """What of which table was counted: its number of changes, its newest history entry, its rows and the place of the last one."""

    born: str
    changed: int
    number: int
    rows: tuple[int, int]


@dataclass
class _Known:
    """The counts of a data set. `typed` are captions that somebody types in: their history keeps only what stood there before."""

    state: _State
    words: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    typed: dict[int, str] = field(default_factory=dict)

    def add(self, text: str, by: int) -> None:
        tags = {tag.casefold() for tag in split_tags(text) if len(tag) <= _LONG_TAG}
        for counts, found in ((self.words, find_phrases(text)), (self.tags, tags)):
            for name in found:
                counts[name] += by
                if counts[name] <= 0:
                    del counts[name]


class WordCounts:
    """Words and tags of data sets. Safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()

    def words(self, index: PictureIndex) -> Counter[str]:
        """In how many captions each word stands (see `find_phrases`)."""
        with self._guard:
            return self._update(index).words.copy()

    def tags(self, index: PictureIndex) -> Counter[str]:
        """In how many captions each tag stands, in small letters."""
        with self._guard:
            return self._update(index).tags.copy()

    def _update(self, index: PictureIndex) -> _Known:
        key = str(index.path)
        state, oldest = _read_state(index)
        known = self._known.get(key)
        if known is None or not _goes_on(known, state, oldest):
            known = _count_all(index, state)
            for _ in range(2):  # what changed while it was counted would be counted twice
                now, _ = _read_state(index)
                if now == known.state:
                    break
                known = _count_all(index, now)
            self._known[key] = known
        elif known.state != state:
            for place, text, first in _read_changed(index, known.state):
                before = known.typed.get(place, first)
                if before is not None and before != text:
                    known.add(before, -1)
                    known.add(text, 1)
                    known.typed[place] = text
            known.state = state
        while len(self._known) > _MOST_SETS:
            del self._known[next(iter(self._known))]
        return known


def _goes_on(known: _Known, state: _State, oldest: int) -> bool:
    """Whether what was counted leads to this state by changes that are all known."""
    same = (known.state.born, known.state.rows) == (state.born, state.rows)
    return same and oldest <= known.state.number + 1 and len(known.typed) <= _MOST_TYPED


def _count_all(index: PictureIndex, state: _State) -> _Known:
    known = _Known(state)
    with index.read() as table:
        sql = "SELECT place, text FROM rows WHERE place IN (SELECT place FROM history WHERE what = 'hand' AND number > ?)"
        known.typed = dict(table.execute(sql, (state.number - _RECENT,)))
    for place, text in index.texts("missing = '' AND text <> ''"):
        known.add(known.typed.get(place, text), 1)
    return known


def _read_state(index: PictureIndex) -> tuple[_State, int]:
    with index.read() as table:
        born, changed = table.execute("SELECT born, changed FROM counter").fetchone()
        oldest, newest = table.execute("SELECT (SELECT min(number) FROM history), (SELECT max(number) FROM history)").fetchone()
        rows = table.execute("SELECT (SELECT count(*) FROM rows WHERE missing = ''), (SELECT coalesce(max(place), 0) FROM rows)").fetchone()
    return _State(born, changed, newest or 0, rows), oldest or 0


def _read_changed(index: PictureIndex, state: _State) -> list[tuple[int, str, str | None]]:
    """Place and words of the rows that were changed since, and the words before the first of their changes."""
    sql = """
        SELECT rows.place, rows.text, (SELECT text FROM history WHERE history.place = rows.place AND number > ? AND what <> 'aside'
          ORDER BY number LIMIT 1)
        FROM rows WHERE changed > ? AND missing = ''
    """
    with index.read() as table:
        return table.execute(sql, (state.number, state.changed)).fetchall()
