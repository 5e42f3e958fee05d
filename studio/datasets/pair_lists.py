"""Lists of edit pairs (metadata.jsonl, .csv): which two files belong together, and the words between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import clean_caption
from studio.datasets.pair_desk import Desk
from studio.datasets.pair_names import COLUMNS, file_key, find_columns, read_spot, same_file
from studio.datasets.rows import SIDES, ImageFile, Side


@dataclass(frozen=True)
class Entry:
    """One line of a list of pairs: the names of both files, and what changes from one to the other."""

    before: str
    after: str
    text: str

    def name(self, side: Side) -> str:
        """The name of one of the files."""
        return self.before if side == "before" else self.after


def lists_pairs(lines: list[dict[str, Any]]) -> bool:
    """Whether the columns are those of edit pairs."""
    return bool(lines) and isinstance(lines[0], dict) and find_columns(lines[0]) is not None


def read_entries(name: str, lines: list[dict[str, Any]]) -> list[Entry]:
    """The pairs of a list; file names get the folder that the list lies in.

    Raises:
        DarkroomError: When a line does not name both files; says which line.
    """
    folder = PurePosixPath(name).parent
    entries = []
    for number, line in enumerate(lines, 1):
        columns = find_columns(line) if isinstance(line, dict) else None
        if columns is None or not line[columns[0]] or not line[columns[2]]:
            known = "; ".join(", ".join(c) for c in COLUMNS[:2])
            raise DarkroomError(f"Line {number} of {name} does not name both pictures. Each line needs one of these sets: {known}.")
        before, after = ((folder / str(line[columns[n]]).replace("\\", "/")).as_posix() for n in (0, 2))
        entries.append(Entry(before, after, clean_caption(str(line.get(columns[1]) or ""))))
    return entries


def settle(desk: Desk, entries: list[Entry]) -> tuple[int, dict[str, str]]:
    """Takes over a list: pairs and words that it names, for pictures that are here and for those that will come.

    Returns:
        How many pairs keep a person's own words, and what cannot be: name of a file -> reason.
    """
    named = _Named(desk)
    kept, refused = 0, {}
    for entry in entries:
        at, refusal = _settle(desk, entry, named)
        if refusal:
            refused[entry.after] = refusal
        named.note(at)
        kept += desk.give(at, entry.text)
    return kept, refused


class _Named:
    """Rows and pictures by the names of their files."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._after: dict[str, list[int]] = defaultdict(list)
        self._halves: dict[tuple[Side, str], list[int]] = defaultdict(list)
        self._images: dict[tuple[Side, str], dict[str, ImageFile]] = defaultdict(dict)
        for at in range(len(desk.rows)):
            self.note(at)

    def note(self, at: int) -> None:
        """Takes a row in that is new or has changed."""
        for side, image in self._desk.sides(at).items():
            key = file_key(image.name)
            if side == "after" and image.name:
                self._after[key].append(at)
            if image.file:
                self._images[side, key].setdefault(image.id, image)
                if self._desk.is_unclaimed(at):
                    self._halves[side, key].append(at)

    def find_row(self, entry: Entry) -> int | None:
        """The row that has, or waits for, both files."""
        for at in self._after.get(file_key(entry.after), []):
            sides = self._desk.sides(at)
            if same_file(sides["after"].name, entry.after) and same_file(sides["before"].name, entry.before):
                return at
        return None

    def find_half(self, side: Side, name: str) -> int | None:
        """A half with this file that waits for no other one by name."""
        for at in self._halves.get((side, file_key(name)), []):
            if self._desk.is_unclaimed(at) and same_file(self._desk.sides(at)[side].name, name):
                return at
        return None

    def find_image(self, side: Side, name: str) -> ImageFile:
        """The picture of this name, or the name alone."""
        images = self._images.get((side, file_key(name)), {}).values()
        return next((image for image in images if same_file(image.name, name)), ImageFile(name=name))


def _settle(desk: Desk, entry: Entry, named: _Named) -> tuple[int, str]:
    """The row of an entry, found, made of halves or made anew; and why a picture that is here cannot be laid on it."""
    row = named.find_row(entry)
    if row is not None:
        return row, ""
    left, right = (named.find_half(side, entry.name(side)) for side in SIDES)
    at = next((half for half in (left, right) if half is not None), None)
    if at is None:
        at = desk.add(read_spot(entry.after).label)
    try:
        if left is not None and right is not None:
            desk.join(left, right)
        for side in SIDES:
            desk.expect(at, side, named.find_image(side, entry.name(side)))
    except DarkroomError as error:
        return at, error.text
    return at, ""
