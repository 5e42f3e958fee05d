"""The table of a data set's rows (rows.sqlite): its columns, and a row of ours as a row there and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.contract.errors import DarkroomError
from studio.datasets.names import fold_name
from studio.datasets.pair_names import path_key, read_spot
from studio.datasets.rows import ImageFile, Picture, make_pair

TABLE = "rows.sqlite"
PART = 500  # rows that are fetched at once
_WAIT_S = 60.0
_LAYOUT = 4
# A row keeps its place for ever: what is taken out and brought back stands where it stood. `changed` counts up over the whole
# table, so that a page can ask what is new. Of an image, `path_key` and `words_key` are what lists, partners
# and words that come as files look it up by.
_ROWS = """
CREATE TABLE rows(
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, folded TEXT NOT NULL,
  text TEXT NOT NULL, text_by TEXT NOT NULL, version INTEGER NOT NULL,
  missing TEXT NOT NULL, content TEXT NOT NULL, changed INTEGER NOT NULL, excluded INTEGER NOT NULL DEFAULT 0,
  judges INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX rows_folded ON rows(folded);
CREATE INDEX rows_content ON rows(content);
CREATE INDEX rows_changed ON rows(changed);
CREATE INDEX rows_missing ON rows(missing, place) WHERE missing <> '';
CREATE INDEX rows_silent ON rows(place) WHERE text = '';
CREATE INDEX rows_excluded ON rows(missing) WHERE excluded;
CREATE INDEX rows_judges ON rows(place) WHERE judges;
CREATE TABLE images(
  place INTEGER NOT NULL REFERENCES rows ON DELETE CASCADE, side TEXT NOT NULL,
  id TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, path_key TEXT NOT NULL, words_key TEXT NOT NULL, edit TEXT NOT NULL DEFAULT '',
  mask TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(place, side)
) WITHOUT ROWID;
CREATE INDEX images_id ON images(id) WHERE file <> '';
CREATE INDEX images_path_key ON images(path_key);
CREATE INDEX images_words_key ON images(words_key);
CREATE TABLE counter(changed INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
# What captions read before they were changed. `act` is that change of many which can be undone as one; 0 for a change of one.
# `born` tells this table from another one that stands in its place one day.
_HISTORY = """
CREATE TABLE history(
  number INTEGER PRIMARY KEY AUTOINCREMENT, place INTEGER NOT NULL, act INTEGER NOT NULL, time REAL NOT NULL,
  what TEXT NOT NULL, writer TEXT NOT NULL, text TEXT NOT NULL, text_by TEXT NOT NULL, version INTEGER NOT NULL,
  total INTEGER NOT NULL
);
CREATE INDEX history_place ON history(place, number);
CREATE INDEX history_act ON history(act) WHERE act > 0;
CREATE TABLE acts(
  act INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL,
  count INTEGER NOT NULL, first INTEGER NOT NULL, head TEXT NOT NULL, undone INTEGER NOT NULL
);
CREATE INDEX rows_by ON rows(missing, text_by);
ALTER TABLE counter ADD COLUMN born TEXT NOT NULL DEFAULT '';
UPDATE counter SET born = lower(hex(randomblob(8)));
"""
_SCHEMA = _ROWS + _HISTORY
# What a table of a former layout lacks: layout it comes to -> statements.
_STEPS = {
    2: (
        "ALTER TABLE rows ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE images ADD COLUMN edit TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE images ADD COLUMN mask TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX rows_excluded ON rows(missing) WHERE excluded",
    ),
    3: tuple(_HISTORY.split(";\n")),
    4: ("ALTER TABLE rows ADD COLUMN judges INTEGER NOT NULL DEFAULT 0", "CREATE INDEX rows_judges ON rows(place) WHERE judges"),
}
IMAGE_COLUMNS = "id, name, file, width, height, bytes, sha256, edit, mask"
# One row of the answer is one row of ours: a picture has its image under `own`, a pair both sides.
SELECT = f"""
SELECT rows.place, rows.id, rows.name, rows.text, rows.text_by, rows.version, rows.excluded, rows.judges,
  {", ".join(f"{side}.{column}" for side in ("own", "before", "after") for column in IMAGE_COLUMNS.split(", "))}
FROM rows
LEFT JOIN images own ON own.place = rows.place AND own.side = ''
LEFT JOIN images before ON before.place = rows.place AND before.side = 'before'
LEFT JOIN images after ON after.place = rows.place AND after.side = 'after'
"""
_FIRST, _WIDTH = 8, 9


@contextmanager
def open_table(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the table, made where there is none. What is not committed when it closes has not happened.

    Raises:
        DarkroomError: When the file is damaged, or cannot be read or written.
    """
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
                _make(connection)
            yield connection
        except sqlite3.DatabaseError as error:
            raise _explain(path, error) from None
    finally:
        connection.close()


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    layout = connection.execute("PRAGMA user_version").fetchone()[0]  # now: another process may have been first
    if layout > _LAYOUT:
        raise DarkroomError(f"This data set was written by a newer Darkroom (layout {layout}; this one reads {_LAYOUT}). Update Darkroom.")
    steps = _SCHEMA.split(";\n") if not layout else [s for step in range(layout + 1, _LAYOUT + 1) for s in _STEPS[step]]
    for statement in steps:
        connection.execute(statement)
    if layout != _LAYOUT:
        connection.execute(f"PRAGMA user_version = {_LAYOUT}")
    connection.execute("COMMIT")


def _explain(path: Path, error: sqlite3.DatabaseError) -> DarkroomError:
    text = str(error)
    if "full" in text:
        return DarkroomError("The disk is full. Free some space, then do it again; what came before is safe.")
    if "malformed" in text or "not a database" in text:
        return DarkroomError(
            f"The list of pictures ({path}) is damaged. Bring it back from a backup, or add the pictures of {path.parent / 'images'} anew."
        )
    return DarkroomError(f"The list of pictures ({path}) cannot be used ({text}). Check the disk and its permissions, then try again.")


def from_table(values: tuple[Any, ...]) -> Picture:
    """The row of one line of `SELECT`."""
    own, before, after = (
        ImageFile(*values[at : at + _WIDTH]) if values[at] is not None else None for at in range(_FIRST, _FIRST + 3 * _WIDTH, _WIDTH)
    )
    place, row_id, name, text, text_by, version, excluded, judges = values[:_FIRST]
    if own is None:
        pair = make_pair(row_id, name, before or ImageFile(), after or ImageFile(), (text, text_by, version))
        return replace(pair, excluded=bool(excluded), judges=bool(judges), place=place)
    row = Picture(row_id, name, own.file, own.width, own.height, own.bytes, text, text_by, version, own.sha256, place=place)
    if not (own.edit or excluded or own.mask or judges):
        return row
    return replace(row, edit=own.edit, excluded=bool(excluded), mask=own.mask, judges=bool(judges))


def walk(fetch: Callable[[int, int], list[tuple[Any, ...]]], place: int = -1, limit: int | None = None) -> Iterator[Picture]:
    """Rows part by part, at most `limit` of them.

    Args:
        fetch: Is given a place and a number; answers with so many lines of `SELECT` behind that place, in their order.
        place: Behind which to begin.
        limit: None for all.
    """
    while limit is None or limit > 0:
        wanted = PART if limit is None else min(PART, limit)
        part = fetch(place, wanted)
        yield from map(from_table, part)
        if len(part) < wanted:
            return
        place = part[-1][0]
        limit = None if limit is None else limit - len(part)


def row_values(row: Picture) -> dict[str, Any]:
    """The columns of `rows` that say what the row is."""
    return {
        "id": row.id,
        "name": row.name,
        "folded": fold_name(row.name),
        "text": row.text,
        "text_by": row.text_by,
        "version": row.version,
        "missing": row.missing,
        "content": row.content,
        "excluded": int(row.excluded),
        "judges": int(row.judges),
    }


def image_values(row: Picture) -> list[tuple[Any, ...]]:
    """The lines of `images` that belong to the row, from `side` on."""
    if row.before is None or row.after is None:
        return [_image_line("", row.images[0], words_key(row.name))]
    sides = (("before", row.before), ("after", row.after))
    return [_image_line(side, image, read_spot(image.name).key if image.file else "") for side, image in sides]


def _image_line(side: str, i: ImageFile, key: str) -> tuple[Any, ...]:
    return (side, i.id, i.name, i.file, i.width, i.height, i.bytes, i.sha256, path_key(i.name), key, i.edit, i.mask)


def words_key(name: str) -> str:
    """What a picture and a text file beside it have in common: folders and name without the last ending, folded."""
    stem, dot, _ = name.rpartition(".")
    return fold_name(stem if dot else name)
