"""The small database over which ai-toolkit's own interface speaks with a training, made for one run alone.

Its trainer writes there what it does, and looks there at every step whether it should save, draw samples, or stop. Stopping so is
never in the middle of a save.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ID = "darkroom"
SAVING = "Saving model"
_TABLE = """
CREATE TABLE Job (
    id TEXT PRIMARY KEY, name TEXT, status TEXT NOT NULL DEFAULT 'queued', info TEXT NOT NULL DEFAULT '', step INTEGER NOT NULL DEFAULT 0,
    stop INTEGER NOT NULL DEFAULT 0, return_to_queue INTEGER NOT NULL DEFAULT 0, save_now INTEGER NOT NULL DEFAULT 0,
    sample_now INTEGER NOT NULL DEFAULT 0, speed_string TEXT NOT NULL DEFAULT '', pid INTEGER
)
"""


@dataclass(frozen=True)
class JobState:
    """What it says of itself: `status` is queued, running, stopped, error or completed; `info` a few words."""

    status: str = ""
    info: str = ""

    @property
    def is_saving(self) -> bool:
        """Whether it writes a file now that must not be torn."""
        return self.info == SAVING


class Job:
    """One training's entry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Begins anew: what was asked of an earlier attempt is asked no more."""
        for name in (self._path.name, f"{self._path.name}-wal", f"{self._path.name}-shm", f"{self._path.name}-journal"):
            self._path.with_name(name).unlink(missing_ok=True)
        with self._open() as connection:
            connection.execute(_TABLE)
            connection.execute("INSERT INTO Job (id, name) VALUES (?, ?)", (ID, ID))

    def ask_to_save(self) -> None:
        """At the end of the next step."""
        self._set("save_now")

    def ask_to_sample(self) -> None:
        """At the end of the next step."""
        self._set("sample_now")

    def ask_to_stop(self) -> None:
        """At the end of the next step, or before the next thing that takes long."""
        self._set("stop")

    def read(self) -> JobState:
        """What it says now; nothing where the database is busy."""
        try:
            with self._open() as connection:
                row = connection.execute("SELECT status, info FROM Job WHERE id = ?", (ID,)).fetchone()
        except sqlite3.Error:
            return JobState()
        return JobState(str(row[0]), str(row[1])) if row else JobState()

    def _set(self, column: str) -> None:
        assert column in ("save_now", "sample_now", "stop")
        with self._open() as connection:
            connection.execute(f"UPDATE Job SET {column} = 1 WHERE id = ?", (ID,))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=10.0, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
