"""Which side of an edit pair a file is, and of which pair: what its folder and its name say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.contract.shards import AFTER_WORDS, BEFORE_WORDS
from studio.datasets.names import PICTURE_SUFFIXES, fold_name
from studio.datasets.rows import SIDES, Side

# Plain words decide that a drop is one of edit pairs; the rest only helps where a person said so.
_PLAIN: dict[str, Side] = {**dict.fromkeys(BEFORE_WORDS, SIDES[0]), **dict.fromkeys(AFTER_WORDS, SIDES[1])}
_SHORT: dict[str, Side] = {
    **dict.fromkeys(("a", "in", "src", "orig", "from"), SIDES[0]),
    **dict.fromkeys(("b", "out", "edit", "result", "to"), SIDES[1]),
}
_WORDS = {**_PLAIN, **_SHORT}
_DIGITS: dict[str, Side] = {"0": "before", "1": "after"}
_TEXT_FOLDERS = {"instruction", "prompt", "caption", "text", "edit_prompt"}
_END = re.compile(rf"^(.+?)[\s_.-]+\(?({'|'.join(_WORDS)}|[01])\)?$", re.IGNORECASE)
_BEGINNING = re.compile(rf"^({'|'.join(_PLAIN)})[\s_.-]+(.+)$", re.IGNORECASE)
_MOST_PLAIN = 0.6

# Columns of a list of pairs, as data sets of this kind call them: picture before, instruction, picture after.
COLUMNS = (
    ("input_image", "instruction", "output_image"),
    ("original_image", "edit_prompt", "edited_image"),
    ("input", "edit", "output"),
    ("before", "instruction", "after"),
)


@dataclass(frozen=True)
class Spot:
    """Where a file belongs: both sides of a pair have the same `key`, in the same folder `above` or in one dropped by itself.

    `label` is the key as a person wrote it; `plain` whether a word says the side that can hardly mean something else.
    """

    above: str
    key: str
    side: Side | None
    label: str
    plain: bool = False

    def belongs_with(self, other: Spot) -> bool:
        """Whether both may be of one pair."""
        return self.key == other.key and (self.above == other.above or not self.above or not other.above)


def read_spot(name: str) -> Spot:
    """What the name of a file, with its folders, says about its place."""
    *folders, file = name.split("/")
    stem = _stem(file)
    for at in range(len(folders) - 1, -1, -1):
        word = _folder_word(folders[at])
        if word in _SHORT and _says_side(stem):
            continue  # a folder called `edit` around 01_before.png and 01_after.png
        if word in _WORDS or word in _TEXT_FOLDERS:
            side = _WORDS.get(word)
            return _spot(folders[:at], [*folders[at + 1 :], _without_word(stem, side)], side, word in _PLAIN)
    if stem.casefold() in _PLAIN:  # one folder a pair: cat/before.png, cat/after.png
        return _spot(folders[:-1], folders[-1:], _PLAIN[stem.casefold()], True)
    end, beginning = _END.match(stem), _BEGINNING.match(stem)
    if end:
        word = end[2].casefold()
        return _spot(folders, [end[1]], _WORDS.get(word) or _DIGITS[word], word in _PLAIN)
    if beginning:
        return _spot(folders, [beginning[2]], _PLAIN[beginning[1].casefold()], True)
    return _spot(folders, [stem], None, False)


def looks_like_pairs(names: Iterable[str]) -> bool:
    """Whether most of these files are plainly the two sides of pairs."""
    sides: dict[tuple[str, str], set[Side]] = {}
    count = 0
    for name in names:
        if PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES:
            count += 1
            spot = read_spot(name)
            if spot.side and spot.plain:
                sides.setdefault((spot.above, spot.key), set()).add(spot.side)
    paired = 2 * sum(len(found) == 2 for found in sides.values())
    return paired >= 2 and paired >= _MOST_PLAIN * count


def find_columns(keys: Iterable[str]) -> tuple[str, str, str] | None:
    """The names of the columns of a list of pairs, or None where it is a list of something else."""
    there = set(keys)
    return next((columns for columns in COLUMNS if columns[0] in there and columns[2] in there), None)


def same_file(came: str, expected: str) -> bool:
    """Whether the file that came is the one that a list names: one of the two paths may lack the outer folders."""
    one, other = fold_name(came).split("/"), fold_name(expected).split("/")
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def path_key(name: str) -> str:
    """The parts of a name from the last to the first, each with a `/` behind it.

    Two names are the same file (see `same_file`) where the key of one begins with the key of the other, so that a sorted list of
    keys finds all of them without looking at the others.
    """
    return "".join(f"{part}/" for part in reversed(fold_name(name).split("/")))


def _spot(above: list[str], rest: list[str], side: Side | None, plain: bool) -> Spot:
    label = "/".join(rest) or "pair"
    return Spot(fold_name("/".join(above)), fold_name(label), side, label, plain)


def _stem(file: str) -> str:
    stem = PurePosixPath(file)
    if stem.suffix.lower() in (".txt", ".caption"):
        stem = stem.with_suffix("")
    if stem.suffix.lower() in PICTURE_SUFFIXES:
        stem = stem.with_suffix("")
    return str(stem)


def _folder_word(folder: str) -> str:
    """`Input images` -> `input`; `sources` -> `source`."""
    word = re.sub(r"[\s_-]+", "_", folder.strip().casefold())
    word = re.sub(r"_?(?:images?|imgs?|pictures?|pics?|photos?)$", "", word) or word
    return word if word in _WORDS or word in _TEXT_FOLDERS else word.removesuffix("s")


def _says_side(stem: str) -> bool:
    end = _END.match(stem)
    return stem.casefold() in _PLAIN or bool(_BEGINNING.match(stem)) or bool(end and end[2].casefold() in _PLAIN)


def _without_word(stem: str, side: Side | None) -> str:
    """`001_before` in a folder `before` -> `001`. A digit at the end is only a number here."""
    found = _END.match(stem)
    if found and found[2] not in _DIGITS and side in (None, _WORDS[found[2].casefold()]):
        return found[1]
    return stem
