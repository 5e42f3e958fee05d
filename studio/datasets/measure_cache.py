"""Measures of pictures, kept under the content they were taken from; what is lost is measured again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.datasets.measure import Measures

VERSION = 6  # of what is measured; another version's file is left alone
_PART = 500
_WAIT_S = 30.0


def read_measures(cache: Path, contents: Collection[str]) -> dict[str, Measures]:
    """Measures by content (sha256 of the training copy), of those that are known."""
    found: dict[str, Measures] = {}
    with suppress(sqlite3.DatabaseError), _open(cache) as table:
        wanted = list(dict.fromkeys(contents))
        for part in (wanted[start : start + _PART] for start in range(0, len(wanted), _PART)):
            sql = f"SELECT content, value FROM measures WHERE content IN ({', '.join('?' * len(part))})"
            found |= {content: Measures.from_bytes(value) for content, value in table.execute(sql, part)}
    return found


def write_measures(cache: Path, measured: Mapping[str, Measures]) -> None:
    """Keeps measures. Where that cannot be, a check measures again: nothing else depends on it."""
    if not measured:
        return
    with suppress(sqlite3.DatabaseError), _open(cache) as table:
        rows = [(content, measures.to_bytes()) for content, measures in measured.items()]
        table.executemany("INSERT OR REPLACE INTO measures VALUES (?, ?)", rows)
        table.execute("COMMIT")


@contextmanager
def _open(cache: Path) -> Iterator[sqlite3.Connection]:
    path = cache / f"measures_v{VERSION}.sqlite"
    try:
        yield from _connected(path)
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            path.unlink(missing_ok=True)
        raise


def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may take it
        connection.execute("CREATE TABLE IF NOT EXISTS measures(content TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()
