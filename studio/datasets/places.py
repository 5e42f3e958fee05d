"""Where rows stand, as runs: `[[1, 50000]]` are fifty thousand places in a few bytes. So a page knows their order without the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from backends.contract.errors import DarkroomError

Run = Annotated[list[Annotated[int, Field(ge=0, lt=2**53)]], Field(min_length=2, max_length=2)]
Runs = Annotated[list[Run], Field(max_length=200_000)]
_MOST = 200_000


def to_runs(places: Iterable[int]) -> list[list[int]]:
    """Growing places as runs: the first place of each, and how many follow each other."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][0] + runs[-1][1] == place:
            runs[-1][1] += 1
        else:
            runs.append([place, 1])
    return runs


def from_runs(runs: Iterable[list[int]]) -> Iterator[int]:
    """The places of runs.

    Raises:
        DarkroomError: When they are more than a data set can have.
    """
    left = _MOST
    for first, count in runs:
        left -= count
        if left < 0:
            raise DarkroomError(f"More than {_MOST:,} pictures are named; a data set has at most half as many. Choose anew.")
        yield from range(first, first + count)


def read_runs(text: str) -> list[list[int]]:
    """Runs as they stand in an address: `1+60,90` are the places 1 to 60 and 90.

    Raises:
        DarkroomError: When it is something else.
    """
    try:
        parts = [part.partition(" ")[::2] if " " in part else part.partition("+")[::2] for part in text.split(",") if part]
        return [[int(first), int(count or 1)] for first, count in parts]
    except ValueError:
        raise DarkroomError(f"“{text[:60]}” does not name places. Write them as 1+60,90.") from None
