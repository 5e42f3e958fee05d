"""What machines noted about captions, beside the rows in rows.sqlite: how well each fits its picture, and wordings to choose from.

A score belongs to the words that were scored. When they change it no longer counts, and counts again when they come back. That a
caption is a guess, of a captioner that learnt from nothing like the picture, counts until a person or another captioner writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from studio.datasets.changes import Changes
from studio.datasets.index import PictureIndex
from studio.datasets.table import open_table

_TABLES = (
    "caption_scores(id TEXT PRIMARY KEY, text TEXT NOT NULL, score REAL NOT NULL, scorer TEXT NOT NULL)",
    "caption_choices(id TEXT PRIMARY KEY, texts TEXT NOT NULL)",
    "caption_guesses(id TEXT PRIMARY KEY, captioner TEXT NOT NULL)",
)
_COUNTING = "FROM caption_scores s JOIN rows ON rows.id = s.id AND rows.text = s.text"
_GUESSED = "FROM caption_guesses g JOIN rows ON rows.id = g.id AND rows.text_by = 'captioner'"
DOUBTFUL = 0.5  # below it the words fit other pictures as well, or better
# From which score on it reads so.
MEANINGS = ((0.8, "fits well"), (DOUBTFUL, "fits"), (0.2, "fits poorly"), (0.0, "does not fit"))


@dataclass(frozen=True)
class Score:
    """How well a caption fits its picture, 0 to 1, as a scorer says."""

    value: float
    scorer: str

    @property
    def meaning(self) -> str:
        """The score in words."""
        return next(words for least, words in MEANINGS if self.value >= least)


def note_score(rows: Changes, row_id: str, text: str, score: Score) -> None:
    """Notes how well these words fit the picture, inside a change of the rows; pages learn of it as of any change."""
    _note(rows, "INSERT OR REPLACE INTO caption_scores VALUES (?, ?, ?, ?)", (row_id, text, score.value, score.scorer))
    rows.touch(row_id)


def note_choices(rows: Changes, row_id: str, texts: Sequence[str]) -> None:
    """Notes the wordings among which a person may choose, the best first; fewer than two are none."""
    if len(texts) < 2:
        _note(rows, "DELETE FROM caption_choices WHERE id = ?", (row_id,))
    else:
        _note(rows, "INSERT OR REPLACE INTO caption_choices VALUES (?, ?)", (row_id, json.dumps(list(texts), ensure_ascii=False)))
    rows.touch(row_id)


def note_guess(rows: Changes, row_id: str, captioner: str, *, guess: bool = True) -> None:
    """Notes that what this captioner wrote is a guess, or that it is none, inside a change of the rows."""
    if guess:
        _note(rows, "INSERT OR REPLACE INTO caption_guesses VALUES (?, ?)", (row_id, captioner))
    else:
        _note(rows, "DELETE FROM caption_guesses WHERE id = ?", (row_id,))
    rows.touch(row_id)


def read_guesses(index: PictureIndex) -> dict[str, str]:
    """By row the captioner whose guess still stands there."""
    return dict(_read(index, f"SELECT g.id, g.captioner {_GUESSED}"))


def count_guesses(index: PictureIndex) -> int:
    """How many captions are guesses."""
    return next((number for (number,) in _read(index, f"SELECT count(*) {_GUESSED}")), 0)


def read_scores(index: PictureIndex) -> dict[str, Score]:
    """The scores that count, by row."""
    sql = f"SELECT s.id, s.score, s.scorer {_COUNTING}"
    return {row_id: Score(value, scorer) for row_id, value, scorer in _read(index, sql)}


def read_score(index: PictureIndex, row_id: str) -> Score | None:
    """The score of one row, where it counts."""
    sql = f"SELECT s.score, s.scorer {_COUNTING} WHERE s.id = ?"
    return next((Score(value, scorer) for value, scorer in _read(index, sql, row_id)), None)


def read_choices(index: PictureIndex, row_id: str) -> list[str]:
    """The wordings that were noted for a row."""
    return next((json.loads(texts) for (texts,) in _read(index, "SELECT texts FROM caption_choices WHERE id = ?", row_id)), [])


def carry_notes(index: PictureIndex, rows: Changes, renamed: Mapping[str, str]) -> None:
    """Brings the notes of another data set's rows to the same rows here, inside a change: scores where the words are the same.

    Args:
        index: Of the other data set.
        rows: The rows here, those that came from there among them.
        renamed: Ids there -> ids here, where they differ.
    """
    for row_id, text, value, scorer in _read(index, f"SELECT s.id, s.text, s.score, s.scorer {_COUNTING}"):
        row = rows.get(renamed.get(row_id, row_id))
        if row is not None and row.text == text:
            note_score(rows, row.id, text, Score(value, scorer))
    for row_id, captioner in read_guesses(index).items():
        row = rows.get(renamed.get(row_id, row_id))
        if row is not None:
            note_guess(rows, row.id, captioner)
    for row_id, texts in _read(index, "SELECT id, texts FROM caption_choices"):
        row = rows.get(renamed.get(row_id, row_id))
        if row is not None:
            note_choices(rows, row.id, json.loads(texts))


def count_scores(index: PictureIndex) -> tuple[int, int]:
    """How many captions have a score that counts, and how many of those are doubtful."""
    sql = f"SELECT count(*), coalesce(sum(s.score < ?), 0) {_COUNTING}"
    return next(((scored, doubtful) for scored, doubtful in _read(index, sql, DOUBTFUL)), (0, 0))


def worst_scores(index: PictureIndex, limit: int) -> list[tuple[str, int]]:
    """Id and place of the doubtful captions, those that fit worst first."""
    sql = f"SELECT s.id, rows.place {_COUNTING} WHERE s.score < ? ORDER BY s.score, rows.place LIMIT ?"
    return list(_read(index, sql, DOUBTFUL, limit))


def _note(rows: Changes, sql: str, values: tuple[object, ...]) -> None:
    for table in _TABLES:
        rows.connection.execute(f"CREATE TABLE IF NOT EXISTS {table} WITHOUT ROWID")
    rows.connection.execute(sql, values)


def _read(index: PictureIndex, sql: str, *values: str | float) -> Iterator[tuple]:
    with open_table(index.path) as table:
        try:
            yield from table.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # nothing was noted yet
                raise
