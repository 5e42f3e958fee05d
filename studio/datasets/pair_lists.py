"""Lists of edit pairs: which two files belong together, and the words between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backends.contract.errors import DarkroomError
from studio.datasets.pair_desk import Desk, is_unclaimed, sides_of
from studio.datasets.pair_names import read_spot, same_file
from studio.datasets.rows import SIDES, ImageFile, Picture, Side


@dataclass(frozen=True)
class Entry:
    """One line of a list of pairs: the names of both files, what changes from one to the other, and whether the pair judges."""

    before: str
    after: str
    text: str
    judges: bool = False

    def name(self, side: Side) -> str:
        """The name of one of the files."""
        return self.before if side == "before" else self.after


def settle(desk: Desk, entries: Iterable[Entry]) -> tuple[int, int, dict[str, str]]:
    """Takes over a list: pairs and words that it names, for pictures that are here and for those that will come.

    Returns:
        How many entries there are, how many pairs keep a person's own words, and what cannot be: name of a file -> reason.
    """
    count, kept, refused = 0, 0, {}
    for entry in entries:
        count += 1
        row, refusal = _settle(desk, entry)
        if refusal:
            refused[entry.after] = refusal
        kept += desk.give(row, entry.text)
        if entry.judges:
            desk.let_judge(row.id)
    return count, kept, refused


def _settle(desk: Desk, entry: Entry) -> tuple[Picture, str]:
    """The row of an entry, found, made of halves or made anew; and why a picture that is here cannot be laid on it."""
    row = _find_row(desk, entry)
    if row is not None:
        return row, ""
    halves = [half for half in (_find_half(desk, side, entry.name(side)) for side in SIDES) if half is not None]
    row = halves[0] if halves else desk.add(read_spot(entry.after).label)
    try:
        if len(halves) == len(SIDES):
            row = desk.join(*halves)
        for side in SIDES:
            row = desk.expect(row, side, _find_image(desk, side, entry.name(side)))
    except DarkroomError as error:
        return desk.rows.get(row.id) or row, error.text
    return row, ""


def _find_row(desk: Desk, entry: Entry) -> Picture | None:
    """The row that has, or waits for, both files."""
    rows = desk.rows.with_file(entry.after, "after")
    return next((row for row in rows if row.before and row.before.name and same_file(row.before.name, entry.before)), None)


def _find_half(desk: Desk, side: Side, name: str) -> Picture | None:
    """A half with this file that waits for no other one by name."""
    return next((row for row in desk.rows.with_file(name, side, awaited=False) if is_unclaimed(row)), None)


def _find_image(desk: Desk, side: Side, name: str) -> ImageFile:
    """The picture of this name, or the name alone."""
    found = desk.rows.with_file(name, side, awaited=False)
    return sides_of(found[0])[side] if found else ImageFile(name=name)
