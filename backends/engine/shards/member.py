"""A file inside a shard, as the trainer reads pictures: opened by its place, so that no other byte of the shard is read."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backends.contract.errors import DarkroomError


@dataclass(frozen=True, slots=True)
class Member:
    """`size` bytes at `offset` of a shard; `name` is what it is called there."""

    shard: Path
    offset: int
    size: int
    name: str

    @property
    def parent(self) -> Path:
        """The shard, as what the file lies in."""
        return self.shard

    def open(self, mode: str = "rb") -> BinaryIO:
        """Its bytes as a file that is read."""
        return io.BytesIO(self.read_bytes())

    def read_bytes(self, most: int | None = None) -> bytes:
        """All of it, or the first so many bytes.

        Raises:
            DarkroomError: When the shard ends before it.
        """
        wanted = self.size if most is None else min(most, self.size)
        handle = os.open(self.shard, os.O_RDONLY)
        try:
            data = os.pread(handle, wanted, self.offset)
            while data and len(data) < wanted:
                more = os.pread(handle, wanted - len(data), self.offset + len(data))
                if not more:
                    break
                data += more
        finally:
            os.close(handle)
        if len(data) < wanted:
            raise DarkroomError(f"The shard {self.shard} ends in the middle of {self.name}. Copy it again, then resume the run.")
        return data
