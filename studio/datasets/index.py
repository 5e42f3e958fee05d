"""The rows of a data set: read in parts, by id, by what they miss or say; changed by one writer at a time, all or nothing."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from studio.datasets.changes import Changes
from studio.datasets.edits import whole_of
from studio.datasets.history import Cause
from studio.datasets.legacy import take_over
from studio.datasets.names import fold_name
from studio.datasets.rows import METADATA, ImageFile, Picture
from studio.datasets.table import IMAGE_COLUMNS, PART, SELECT, TABLE, from_table, open_table, walk

TEXTS = 5000  # words that are fetched at once: a tenth of a second's reading at most
# What still wants words, and is to be given some: half a pair has nothing to say yet, and nobody reads what is left out of training.
SILENT = "text = '' AND missing = '' AND NOT excluded"
JUDGES = "judges AND missing = '' AND NOT excluded"  # what is left out of training judges nothing either
_TRAINING = "FROM rows JOIN images ON images.place = rows.place AND side IN ('', 'after') WHERE missing = '' AND NOT excluded"


@dataclass(frozen=True)
class Numbers:
    """Rows of which a picture is there, and of those with words and lacking a side; rows of which neither picture has come.

    `excluded` ones are complete. `silent` ones are to be learnt from and have no words (see `SILENT`). `judges` were chosen to judge.
    """

    rows: int
    captions: int
    incomplete: int
    awaited: int
    excluded: int = 0
    silent: int = 0
    judges: int = 0


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Keeps every other thread and process out that asks for the same lock file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class PictureIndex:
    """The rows of one data set, in the order in which they came. Nothing of them is kept in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / TABLE

    def rows(self, *, offset: int = 0, limit: int | None = None, awaited: bool = False) -> Iterator[Picture]:
        """The rows of which a picture is there, excluded ones too; with `awaited` also the others.

        They are fetched in parts: no writer waits long.
        """
        before: tuple[int] | None = (-1,)
        if offset:  # once: from there on the places lead
            with self._read() as table:
                sql = "SELECT place FROM rows WHERE missing <> 'both' ORDER BY place LIMIT 1 OFFSET ?"
                before = table.execute(sql, (offset - 1,)).fetchone()
        if before is not None:
            yield from self._walk(0, before[0], limit, awaited=awaited)

    def get(self, row_id: str) -> Picture | None:
        """The row of this id."""
        with self._read() as table:
            found = table.execute(f"{SELECT} WHERE rows.id = ?", (row_id,)).fetchone()
        return from_table(found) if found else None

    def numbered(self, wanted: Collection[str]) -> dict[str, tuple[int, Picture]]:
        """The rows of these ids, as far as they are there, each with its number in the order of `rows`, from 1."""
        left, found = set(wanted), dict[str, tuple[int, Picture]]()
        with self._read() as table:
            order = table.execute("SELECT id FROM rows WHERE missing <> 'both' ORDER BY place")
            numbers = {row_id: number for number, (row_id,) in enumerate(order, 1) if row_id in left}
            ids = list(numbers)
            for part in (ids[start : start + PART] for start in range(0, len(ids), PART)):
                lines = table.execute(f"{SELECT} WHERE rows.id IN ({', '.join('?' * len(part))})", part)
                found |= {row.id: (numbers[row.id], row) for row in map(from_table, lines)}
        return found

    def draw(self, most: int) -> list[str]:
        """Ids of rows that are learnt from, at most so many: always the same, and as good as by chance, for ids are hashes."""
        with self._read() as table:
            return [
                row_id
                for (row_id,) in table.execute("SELECT id FROM rows WHERE missing = '' AND NOT excluded ORDER BY id LIMIT ?", (most,))
            ]

    def named(self, name: str) -> Picture | None:
        """The row of this name, in any case of letters."""
        with self._read() as table:
            found = table.execute(f"{SELECT} WHERE rows.folded = ?", (fold_name(name),)).fetchone()
        return from_table(found) if found else None

    def with_content(self, content: str) -> Picture | None:
        """The whole row with this content (see `Picture.content`)."""
        with self._read() as table:
            found = table.execute(f"{SELECT} WHERE rows.content = ? AND rows.missing = ''", (content,)).fetchone()
        return from_table(found) if found else None

    def image(self, image_id: str) -> ImageFile | None:
        """The file of this id: a picture, or a side of a pair. An id without an edit is that of the whole picture."""
        with self.finding() as find:
            return find(image_id)

    @contextmanager
    def finding(self) -> Iterator[Callable[[str], ImageFile | None]]:
        """`image`, for thousands of ids."""
        sql = f"SELECT {IMAGE_COLUMNS} FROM images WHERE id = ? AND file <> '' LIMIT 1"
        edited_sql = f"SELECT {IMAGE_COLUMNS} FROM images WHERE id > ? AND id < ? AND file <> '' AND edit <> '' LIMIT 1"
        with self._read() as table:

            def find(image_id: str) -> ImageFile | None:
                found = table.execute(sql, (image_id,)).fetchone()
                if found:
                    return ImageFile(*found)
                edited = table.execute(edited_sql, (f"{image_id}-", f"{image_id}.")).fetchone()
                return whole_of(ImageFile(*edited)) if edited else None

            yield find

    def numbers(self) -> Numbers:
        """How many rows there are, of each kind."""
        with self._read() as table:
            (total,) = table.execute("SELECT count(*) FROM rows").fetchone()
            missing = dict(table.execute("SELECT missing, count(*) FROM rows WHERE missing <> '' GROUP BY missing"))
            (bare,) = table.execute("SELECT count(*) FROM rows WHERE text = '' AND missing <> 'both'").fetchone()
            (silent,) = table.execute(f"SELECT count(*) FROM rows WHERE {SILENT}").fetchone()
            (excluded,) = table.execute("SELECT count(*) FROM rows WHERE excluded AND missing = ''").fetchone()
            (judges,) = table.execute(f"SELECT count(*) FROM rows WHERE {JUDGES}").fetchone()
        awaited = missing.pop("both", 0)
        return Numbers(total - awaited, total - awaited - bare, sum(missing.values()), awaited, excluded, silent, judges)

    def count_sizes(self) -> list[tuple[int, int, int]]:
        """Width, height and number of what a training would be given: of pictures, and of pictures after."""
        with self._read() as table:
            return table.execute(f"SELECT width, height, count(*) {_TRAINING} GROUP BY width, height").fetchall()

    def training_faces(self) -> Iterator[tuple[str, str, int, int]]:
        """Row id, image id, width and height of the same, in the order of the rows; one may stop anywhere."""
        with self._read() as table:
            yield from table.execute(f"SELECT rows.id, images.id, width, height {_TRAINING} ORDER BY rows.place")

    def highest_number(self) -> int:
        """The highest of the numbers of six digits with which names of rows begin; -1 where none does."""
        with self._read() as table:
            digits = "[0-9]" * 6
            sql = "SELECT max(CAST(substr(name, 1, 6) AS INTEGER)) FROM rows WHERE name GLOB ?"
            (highest,) = table.execute(sql, (f"{digits}*",)).fetchone()
        return -1 if highest is None else int(highest)

    def changed(self) -> int:
        """A number that grows with every change."""
        with self._read() as table:
            return int(table.execute("SELECT changed FROM counter").fetchone()[0])

    def changed_since(self, number: int) -> Iterator[Picture]:
        """The rows that are new or other than they were when `changed` said this number."""
        return self._walk(number)

    def at(self, places: Sequence[int]) -> list[Picture]:
        """The rows that stand at these places, in their order; at most `PART` of them. Places without a row are left out."""
        sql = f"{SELECT} WHERE rows.place IN ({', '.join('?' * len(places[:PART]))}) ORDER BY rows.place"
        with self._read() as table:
            return [from_table(values) for values in table.execute(sql, list(places[:PART]))]

    def ids(self, places: Iterable[int]) -> list[str]:
        """The ids of the rows that stand at these places. Places without a row are left out."""
        found, left = list[str](), iter(places)
        with self._read() as table:
            while part := list(islice(left, PART)):
                sql = f"SELECT id FROM rows WHERE place IN ({', '.join('?' * len(part))}) ORDER BY place"
                found += [row_id for (row_id,) in table.execute(sql, part)]
        return found

    def places(self, where: str = "missing <> 'both'", values: Sequence[Any] = ()) -> list[int]:
        """Where the rows stand for which a condition on the columns of `rows` holds, in their order. Numbers only: a few MB for 100,000."""
        with self._read() as table:
            return [place for (place,) in table.execute(f"SELECT place FROM rows WHERE {where} ORDER BY place", values)]

    def texts(self, where: str = "missing <> 'both'", values: Sequence[Any] = ()) -> Iterator[tuple[int, str]]:
        """Place and words of the rows for which a condition holds, in their order, fetched in parts."""
        sql, place = f"SELECT place, text FROM rows WHERE place > ? AND ({where}) ORDER BY place LIMIT ?", -1
        while True:
            with self._read() as table:
                part = table.execute(sql, (place, *values, TEXTS)).fetchall()
            yield from part
            if len(part) < TEXTS:
                return
            place = part[-1][0]

    @contextmanager
    def change(self, cause: Cause | None = None) -> Iterator[Changes]:
        """All rows, to look up and to change; on leaving without an exception all of it has happened, else nothing.

        Args:
            cause: What changes them, for the history of their captions.

        Raises:
            DarkroomError: When the table is damaged, or the disk does not take it.
        """
        with hold_lock(self.folder / ".lock"), open_table(self.path) as table:
            self._take_over(table)
            table.execute("BEGIN IMMEDIATE")
            table.execute("UPDATE counter SET changed = changed + 1")
            (number,) = table.execute("SELECT changed FROM counter").fetchone()
            changes = Changes(table, number, cause)
            yield changes
            changes.history.close()
            table.execute("COMMIT" if changes.count else "ROLLBACK")

    def _walk(self, number: int, place: int = -1, limit: int | None = None, *, awaited: bool = False) -> Iterator[Picture]:
        """Each part by a connection of its own, so that nobody waits for who reads slowly."""
        there = "" if awaited else " AND rows.missing <> 'both'"
        sql = f"{SELECT} WHERE rows.place > ? AND rows.changed > ?{there} ORDER BY rows.place LIMIT ?"

        def fetch(place: int, wanted: int) -> list[tuple[Any, ...]]:
            with self._read() as table:
                return table.execute(sql, (place, number, wanted)).fetchall()

        return walk(fetch, place, limit)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The table, for those modules that ask it something of their own. Nothing may be written."""
        with self._read() as table:
            yield table

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        if (self.folder / METADATA).is_file():
            with hold_lock(self.folder / ".lock"), open_table(self.path) as table:
                self._take_over(table)
        with open_table(self.path) as table:
            yield table

    def _take_over(self, table: sqlite3.Connection) -> None:
        if (self.folder / METADATA).is_file():
            take_over(self.folder / METADATA, table)
