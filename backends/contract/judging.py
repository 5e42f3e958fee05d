"""Who judges a run, where a person says it: how a list, a table or a shard beside the pictures writes that down."""

from __future__ import annotations

from typing import Any

from backends.contract.errors import DarkroomError

HELD_OUT = "held_out"
"""The column of a list or a table, and the name in a sample's JSON member: true for what judges and is never learnt from."""
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0", "", "none", "null")


def read_mark(value: Any) -> bool:
    """Whether a value of that column says that the row judges; nothing there says that it does not.

    Raises:
        DarkroomError: When it says neither; gives the value.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    said = f"{value:g}" if isinstance(value, int | float) else str(value).strip().lower()
    if said in _YES or said in _NO:
        return said in _YES
    raise DarkroomError(f"{HELD_OUT} is “{str(value)[:40]}”; it must be true for a row that judges, else false or empty.")
