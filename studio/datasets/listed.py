"""Lists among files that come in: which columns they have, and which of the files that they name are not there."""

from __future__ import annotations

import csv
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from backends.contract.errors import DarkroomError
from backends.contract.judging import read_mark
from studio.datasets.caption_files import clean_caption
from studio.datasets.formats.columns import Columns, choose_columns
from studio.datasets.formats.lists import read_columns, read_kinds, read_lines, refuse_list
from studio.datasets.incoming import Found, Outcome, clean_name, kind_of
from studio.datasets.names import fold_name
from studio.datasets.pair_names import COLUMNS, same_file
from studio.datasets.store import DatasetStore


class Line(NamedTuple):
    """A row of a list: its number, the names of its files with the folder of the list, its words, and whether it says that it judges."""

    number: int
    names: tuple[str, ...]
    words: str
    judges: bool = False


Choose = Callable[[str, Path], Columns]
"""Asked for the columns of a list: by its name, with its file."""


@dataclass(frozen=True)
class Listed:
    """A list on its way in, with its columns; `refusal` says why it cannot be used."""

    file: Found
    columns: Columns = Columns(())
    refusal: str = ""

    @property
    def are_pairs(self) -> bool:
        """Whether it names edit pairs."""
        return self.columns.are_pairs

    def rows(self) -> Iterator[Line]:
        """The rows, one after the other.

        Raises:
            DarkroomError: When a line cannot be read, names no file, has words that are too long, or a mark that is none; names the line.
        """
        folder = PurePosixPath(self.file.name).parent
        try:
            for number, line in read_lines(self.file.name, self.file.path):
                given = [line.get(column) for column in self.columns.pictures]
                if not all(given):
                    raise DarkroomError(self._lacks(number))
                names = tuple(_place(folder, str(name)) for name in given)
                try:
                    words = clean_caption(str(line.get(self.columns.words) or "")) if self.columns.words else ""
                    judges = read_mark(line.get(self.columns.held_out)) if self.columns.held_out else False
                except DarkroomError as refusal:
                    raise DarkroomError(f"Line {number} of {self.file.name}: {refusal.text}") from None
                yield Line(number, names, words, judges)
        except (ValueError, csv.Error) as error:
            raise refuse_list(self.file.name, error) from None

    def _lacks(self, number: int) -> str:
        if not self.are_pairs:
            return f"Line {number} of {self.file.name} names no picture: “{self.columns.pictures[0]}” is empty there. Mend it, then add it."
        if self.columns.pictures in [(before, after) for before, _, after in COLUMNS]:
            known = "; ".join(", ".join(columns) for columns in COLUMNS[:2])
            return f"Line {number} of {self.file.name} does not name both pictures. Each line needs one of these sets: {known}."
        needed = " and ".join(f"“{one}”" for one in self.columns.pictures)
        return f"Line {number} of {self.file.name} does not name both pictures. Each line needs {needed}."


def read_listed(listed: Listed) -> dict[str, str]:
    """Captions of a list of pictures, by the name of the file that would hold each of them alone.

    Raises:
        DarkroomError: When it cannot be used, or lists edit pairs.
    """
    if listed.refusal:
        raise DarkroomError(listed.refusal)
    if listed.are_pairs:
        raise DarkroomError(f"{listed.file.name} lists edit pairs; here are single pictures. Begin a data set of edit pairs for it.")
    return {f"{line.names[0]}.txt": line.words for line in listed.rows()}


def find_lists(found: Sequence[Found], choose: Choose | None = None) -> list[Listed]:
    """The lists among these files, each with its columns."""
    lists = []
    for file in found:
        if kind_of(file) == "list":
            try:
                lists.append(Listed(file, (choose or read_columns)(file.name, file.path)))
            except DarkroomError as refusal:
                lists.append(Listed(file, refusal=refusal.text))
            except (ValueError, csv.Error) as error:
                lists.append(Listed(file, refusal=refuse_list(file.name, error).text))
    return lists


def needs_choice(name: str, path: Path) -> bool:
    """Whether a person must say which columns of this list are the pictures and the words."""
    try:
        kinds = read_kinds(name, path)
        columns = read_columns(name, path)
        return not columns.words and sum(kind == "words" for kind in kinds.values()) > 1
    except DarkroomError:
        return True
    except (ValueError, csv.Error, OSError):
        return False


def name_missing(store: DatasetStore, dataset_id: str, lists: Iterable[Listed], found: Iterable[Found]) -> list[Outcome]:
    """Lines that name a file which neither came along nor is here; nothing where no picture came along, for they may follow.

    The list's own entry stands, so that what is named finds its place when it comes.
    """
    came: dict[str, list[str]] = defaultdict(list)
    for file in found:
        if kind_of(file) == "picture":
            folded = fold_name(file.name)
            came[folded.rpartition("/")[2]].append(folded)
    if not came:
        return []
    missing: list[Outcome] = []
    with store.index(dataset_id).change() as rows:
        for listed in (one for one in lists if not one.refusal):
            for number, names, *_ in listed.rows():
                for name in names:
                    near = came.get(fold_name(name).rpartition("/")[2], ())
                    if not any(same_file(one, name) for one in near) and not rows.with_file(name, awaited=False):
                        reason = f"Line {number} of {listed.file.name} names it, and it is not there. Its place and its words wait for it."
                        missing.append(Outcome(name, False, None, reason))
    return missing


def files_named(path: Path, choose: Choose | None = None) -> list[Found]:
    """A list on the disk and the files that it names, beside it or below.

    Raises:
        DarkroomError: When the list cannot be read, none of its files is there, or one is a link to outside; says in which line.
    """
    root, first = path.parent.resolve(), ""
    (listed,) = find_lists([Found(path.name, path)], choose) or [Listed(Found(path.name, path), refusal=f"{path} lists no pictures.")]
    if listed.refusal:
        raise DarkroomError(listed.refusal)
    named: dict[str, Found] = {}
    for number, names, *_ in listed.rows():
        for name in names:
            first = first or f"“{name}” in line {number}"
            inside = next((part for part in _ends(name) if (root / part).is_file()), None)
            if inside and not (root / inside).resolve().is_relative_to(root):
                raise DarkroomError(f"Line {number} of {path.name} names “{name}”, a link out of the folder of the list. Copy it there.")
            if inside:
                named.setdefault(inside, Found(inside, root / inside))
    if not named:
        first = first or "it has no row"
        raise DarkroomError(f"None of the files that {path.name} names lies beside it: {first}. Put the list where they are.")
    return [listed.file, *named.values()]


def choosing(pictures: Sequence[str], words: str | None) -> Choose | None:
    """Columns as a person said them for all lists; None where nothing was said."""
    if not pictures and words is None:
        return None
    return lambda name, path: choose_columns(read_kinds(name, path), pictures or read_columns(name, path).pictures, words, "")


def _ends(name: str) -> Iterator[str]:
    """`/data/set/a.png`, `data/set/a.png` -> `data/set/a.png`, `set/a.png`, `a.png`: a list may name whole paths of another machine."""
    parts = name.split("/")
    return ("/".join(parts[at:]) for at in range(len(parts)))


def _place(folder: PurePosixPath, name: str) -> str:
    """The name as a file that came beside the list is called."""
    return clean_name(posixpath.normpath((folder / name.strip().replace("\\", "/")).as_posix()))
