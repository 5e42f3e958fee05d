"""Data sets of former versions, whose rows were lines of metadata.jsonl."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets.changes import Changes
from studio.datasets.rows import Picture, from_plain


def take_over(path: Path, table: sqlite3.Connection) -> None:
    """Moves the lines of the file into the table and puts the file aside, under a name that says so. The caller holds the lock.

    Raises:
        DarkroomError: When a line is not a row; names the line. Nothing has changed then.
    """
    table.execute("BEGIN IMMEDIATE")
    table.execute("UPDATE counter SET changed = 1")
    changes = Changes(table, 1)
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                row = _read_row(line, number, path)
                if changes.get(row.id) is None:
                    changes.add(row)
    table.execute("COMMIT")
    os.replace(path, path.with_suffix(".before.jsonl"))


def _read_row(line: str, number: int, path: Path) -> Picture:
    try:
        return from_plain(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DarkroomError(
            f"Line {number} of {path} cannot be read ({type(error).__name__}: {error}). Mend or remove this line; the others are untouched."
        ) from None
