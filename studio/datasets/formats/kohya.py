"""Folders as kohya's scripts want them, `10_zog robot/`: how often each picture is shown, and words for those that have none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_FOLDER = re.compile(r"^(\d{1,4})_(.+)$")
_YEARS = range(1900, 2100)  # `2024_summer` says when, not how often


@dataclass(frozen=True)
class Repeated:
    """What such a folder says: `repeats` a pass, and the words of pictures that have no caption of their own."""

    repeats: int
    words: str


def read_repeated(name: str) -> Repeated | None:
    """What the folder right above a file says, if it is called so."""
    folders = name.split("/")[:-1]
    found = _FOLDER.match(folders[-1]) if folders else None
    if not found or int(found[1]) in _YEARS:
        return None
    return Repeated(int(found[1]), " ".join(found[2].replace("_", " ").split()))


def find_repeated(names: Iterable[str]) -> dict[str, Repeated]:
    """By name of the picture; empty unless every one lies in such a folder: a folder `2024_summer` beside others is only a name."""
    found: dict[str, Repeated] = {}
    for name in names:
        said = read_repeated(name)
        if said is None:
            return {}
        found[name] = said
    return found


def name_repeated(name: str, repeats: int, words: str) -> str:
    """The folder for a picture of this name: that in which it came, else one with this number and these words."""
    folders = name.split("/")[:-1]
    if folders and read_repeated(name):
        return re.sub(r'[<>:"|?*\\]+', "_", folders[-1]).rstrip(" .")
    said = re.sub(r"[^\w -]+", "_", words).strip("_ ") or "pictures"
    return f"{repeats}_{said}"
