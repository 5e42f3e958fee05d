"""What was worked out of pictures, kept under the content that it was taken from; what is lost is worked out again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PART = 500
_WAIT_S = 30.0


@dataclass(frozen=True)
class ContentCache:
    """One table in a file of its own in the cache's folder. Another version's file is left alone."""

    name: str
    version: int

    def path(self, cache: Path) -> Path:
        """Its file."""
        return cache / f"{self.name}_v{self.version}.sqlite"

    def read(self, cache: Path, contents: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Content (a sha256) and value of those that are known, one after the other: nothing of them is held here."""
        with suppress(sqlite3.DatabaseError), self._open(cache) as table:
            wanted = list(dict.fromkeys(contents))
            for part in (wanted[start : start + _PART] for start in range(0, len(wanted), _PART)):
                sql = f"SELECT content, value FROM {self.name} WHERE content IN ({', '.join('?' * len(part))})"
                yield from table.execute(sql, part)

    def write(self, cache: Path, values: Mapping[str, bytes]) -> None:
        """Keeps values. Where that cannot be, they are worked out again: nothing else depends on it."""
        if not values:
            return
        with suppress(sqlite3.DatabaseError), self._open(cache) as table:
            table.executemany(f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?)", list(values.items()))
            table.execute("COMMIT")

    @contextmanager
    def _open(self, cache: Path) -> Iterator[sqlite3.Connection]:
        path = self.path(cache)
        try:
            yield from self._connected(path)
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error) or "not a database" in str(error):
                path.unlink(missing_ok=True)
            raise

    def _connected(self, path: Path) -> Iterator[sqlite3.Connection]:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # a power cut may take it
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self.name}(content TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
