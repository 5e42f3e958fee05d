"""What a writer does with the rows of a data set, inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from studio.datasets.history import Cause, History
from studio.datasets.pair_names import path_key
from studio.datasets.rows import Picture, Side, TextBy
from studio.datasets.table import SELECT, from_table, image_values, row_values, walk


class Changes:
    """The rows while they are changed. What is written can be looked up at once; others see it when all is done.

    Args:
        table: A connection inside a transaction.
        number: What `changed` becomes for every row that is touched.
        cause: What changes them; stands in the history of each caption that reads otherwise afterwards.
    """

    def __init__(self, table: sqlite3.Connection, number: int, cause: Cause | None = None) -> None:
        self._table, self._number = table, number
        self.history = History(table, cause or Cause())
        self.count = 0

    def __len__(self) -> int:
        return int(self._table.execute("SELECT count(*) FROM rows").fetchone()[0])

    def __contains__(self, folded: object) -> bool:
        """Whether a row has this folded name."""
        return self._table.execute("SELECT 1 FROM rows WHERE folded = ?", (folded,)).fetchone() is not None

    def rows(self) -> Iterator[Picture]:
        """All rows in their order, those of which no picture has come too. They may be changed on the way."""
        sql = f"{SELECT} WHERE rows.place > ? ORDER BY rows.place LIMIT ?"
        return walk(lambda place, wanted: self._table.execute(sql, (place, wanted)).fetchall())

    def get(self, row_id: str) -> Picture | None:
        """The row of this id."""
        return self._one("rows.id = ?", row_id)

    def at(self, place: int) -> Picture | None:
        """The row that stands here."""
        return self._one("rows.place = ?", place)

    def with_content(self, content: str) -> Picture | None:
        """The whole row with this content (see `Picture.content`)."""
        return self._one("rows.content = ? AND rows.missing = ''", content)

    def with_image(self, image_id: str) -> list[Picture]:
        """The rows in which the file of this content stands, with this edit; of an id without one, with any."""
        return self._by_image("(id = ? OR (id > ? AND id < ?)) AND file <> ''", image_id, f"{image_id}-", f"{image_id}.")

    def with_file(self, name: str, side: Side | None = None, *, awaited: bool | None = None) -> list[Picture]:
        """The rows with a file of this name (see `same_file`): on this side, and here or awaited, where that is asked for."""
        key = path_key(name)
        ends = [at + 1 for at, letter in enumerate(key) if letter == "/"]
        where = f"(path_key IN ({', '.join('?' * len(ends))}) OR (path_key > ? AND path_key < ?)) AND name <> ''"
        values = [*(key[:end] for end in ends), key, key + "\U0010ffff"]
        if side:
            where, values = f"{where} AND side = ?", [*values, side]
        if awaited is not None:
            where += " AND file = ''" if awaited else " AND file <> ''"
        return self._by_image(where, *values)

    def with_words_key(self, key: str) -> list[Picture]:
        """The rows with a picture beside which words of this key would lie (see `Spot.key`, `words_key`)."""
        return self._by_image("words_key = ? AND file <> ''", key)

    def missing(self, side: str) -> list[Picture]:
        """The rows that lack `before`, `after` or `both`."""
        found = self._table.execute(f"{SELECT} WHERE rows.missing = ? AND rows.missing <> '' ORDER BY rows.place", (side,))
        return [from_table(values) for values in found.fetchall()]

    def put(self, row: Picture, *, files: bool = True) -> None:
        """Writes a row that is there as it is now; without `files` those stay as they are, which costs a fraction."""
        place, text, text_by = self._table.execute("SELECT place, text, text_by FROM rows WHERE id = ?", (row.id,)).fetchone()
        if (text, text_by) != (row.text, row.text_by):
            self.history.note(place, text, text_by, row.version)
        values = {**row_values(row), "changed": self._number}
        sets = ", ".join(f"{column} = :{column}" for column in values)
        self._table.execute(f"UPDATE rows SET {sets} WHERE id = :id", values)
        if files:
            self._write_images(place, row)
        self.count += 1

    def say(self, row: Picture, text: str, text_by: TextBy) -> int:
        """Gives a row other words, and nothing else; their version."""
        version = row.version + 1
        self.history.note(row.place, row.text, row.text_by, version)
        sql = "UPDATE rows SET text = ?, text_by = ?, version = ?, changed = ? WHERE id = ?"
        self._table.execute(sql, (text, text_by, version, self._number, row.id))
        self.count += 1
        return version

    def set_aside(self, row: Picture, text: str) -> None:
        """Keeps words that were refused because others stood there already, in the history of the row."""
        self.history.note_aside(row.place, text, row.version)
        self.count += 1

    def mark_undone(self, act: int) -> None:
        """Notes that a change of many was taken back."""
        self._table.execute("UPDATE acts SET undone = 1 WHERE act = ?", (act,))
        self.count += 1

    @property
    def connection(self) -> sqlite3.Connection:
        """The transaction itself, for tables that stand beside the rows."""
        return self._table

    def touch(self, row_id: str) -> None:
        """Tells pages that something beside this row has changed; the row itself stays as it is."""
        self._table.execute("UPDATE rows SET changed = ? WHERE id = ?", (self._number, row_id))
        self.count += 1

    def add(self, row: Picture, place: int | None = None) -> None:
        """Writes a new row: at the end, or where it stood before it was taken out."""
        values = {"place": place, **row_values(row), "changed": self._number}
        sql = f"INSERT INTO rows({', '.join(values)}) VALUES ({', '.join(f':{column}' for column in values)})"
        self._write_images(int(self._table.execute(sql, values).lastrowid or 0), row)
        self.count += 1

    def remove(self, row_ids: Collection[str]) -> None:
        """Takes rows out."""
        self._table.executemany("DELETE FROM rows WHERE id = ?", [(row_id,) for row_id in row_ids])
        self.count += len(row_ids)

    def place(self, row_id: str) -> int:
        """Where the row stands; it keeps its place when it is taken out and brought back."""
        return int(self._table.execute("SELECT place FROM rows WHERE id = ?", (row_id,)).fetchone()[0])

    def _write_images(self, place: int, row: Picture) -> None:
        sql = "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._table.executemany(sql, [(place, *values) for values in image_values(row)])

    def _one(self, where: str, value: str | int) -> Picture | None:
        found = self._table.execute(f"{SELECT} WHERE {where} LIMIT 1", (value,)).fetchone()
        return from_table(found) if found else None

    def _by_image(self, where: str, *values: str) -> list[Picture]:
        sql = f"{SELECT} WHERE rows.place IN (SELECT place FROM images WHERE {where}) ORDER BY rows.place"
        return [from_table(found) for found in self._table.execute(sql, values).fetchall()]
