"""Which file is the mask of which picture: by the conventions of other trainers.

`cat-masklabel.png` beside `cat.jpg` is OneTrainer's. A folder `masks` with files called as the pictures are is what ai-toolkit (its
`mask_path`) and kohya's scripts (their `conditioning_data_dir`) are pointed at. White is learnt, black is not, with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from studio.datasets.formats.kohya import read_repeated
from studio.datasets.names import PICTURE_SUFFIXES, fold_name

BESIDE = "-masklabel"
MASK_FOLDER = "masks"
MASK_COLUMN = "mask_file_name"  # of metadata.jsonl: `datasets` reads such a column as a picture, called `mask`
_FOLDERS = {"mask", "masks"}
_BESIDE_FOLDERS = ("", "images/", "image/", "pictures/", "train/")


@dataclass(frozen=True)
class MaskSpot:
    """Whose mask a file may be: `stem` is a picture's path without its ending, folded; `sure` where the name can mean nothing else."""

    folder: str
    stem: str
    sure: bool

    @property
    def owners(self) -> list[str]:
        """Paths, without ending and folded, of pictures that it may belong to, the nearest first."""
        return [f"{self.folder}{own}{self.stem}" for own in (_BESIDE_FOLDERS if not self.sure else ("",))]


def read_mask_spot(name: str) -> MaskSpot | None:
    """What the name of a file says; None where it is no mask's."""
    path = PurePosixPath(name)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return None
    stem = fold_name(path.stem)
    above = [fold_name(part) for part in path.parts[:-1]]
    if stem.endswith(BESIDE) and stem != BESIDE:
        return MaskSpot("".join(f"{part}/" for part in above), stem.removesuffix(BESIDE), sure=True)
    at = next((n for n in range(len(above) - 1, -1, -1) if above[n] in _FOLDERS), None)
    if at is None:
        return None
    return MaskSpot("".join(f"{part}/" for part in above[:at]), "/".join([*above[at + 1 :], stem]), sure=False)


def lies_in_masks(name: str) -> bool:
    """Whether a file lies in a folder of masks."""
    return any(fold_name(part) in _FOLDERS for part in PurePosixPath(name).parts[:-1])


def owner_key(name: str) -> str:
    """What `MaskSpot.owners` calls this picture."""
    path = PurePosixPath(name)
    return fold_name(str(path.with_suffix("")) if path.suffix else name)


def find_masks(names: Iterable[str]) -> dict[str, str]:
    """Masks among these files: name of the mask -> name of its picture, empty where that did not come along.

    A file in a folder `masks` is one where pictures lie outside of it: of a folder that holds nothing else they are pictures.
    """
    spots = {name: read_mask_spot(name) for name in names}
    pictures = {owner_key(n): n for n, spot in spots.items() if spot is None and PurePosixPath(n).suffix.lower() in PICTURE_SUFFIXES}
    for name in list(pictures.values()):
        if read_repeated(name):  # kohya's masks lie in one folder beside all that say how often
            *folders, _, file = name.split("/")
            pictures.setdefault(owner_key("/".join([*folders, file])), name)
    found = {}
    for name, spot in spots.items():
        if spot is not None and (spot.sure or pictures):
            found[name] = next((pictures[owner] for owner in spot.owners if owner in pictures), "")
    return found
