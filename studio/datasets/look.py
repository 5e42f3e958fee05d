"""One look at the files of a row, as a check takes it: whole or not, changed or not, measured. Knows nothing of any other row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from studio.datasets.measure import Measures, measure_picture
from studio.datasets.pictures import PictureRefused, decode_picture
from studio.datasets.rows import ImageFile, Picture

_PART, _THREADS = 64, 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A row, and the measures of its images that are known already."""

    row: Picture
    measures: tuple[Measures | None, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: measures of each image, those that were taken now by content, images that changed by id; or why it is broken."""

    row: Picture
    measures: tuple[Measures, ...]
    measured: dict[str, Measures] = field(default_factory=dict)
    changed: dict[str, ImageFile] = field(default_factory=dict)
    refusal: str = ""


def look_at(folder: Path, asked: Asked) -> Look:
    """Reads every file of a row. One that is byte for byte as it was written has been decoded whole before.

    Args:
        folder: That of the data set.
        asked: The row.
    """
    measured: dict[str, Measures] = {}
    changed: dict[str, ImageFile] = {}
    measures = []
    try:
        for image, known in zip(asked.row.images, asked.measures, strict=True):
            now, own = _look_at_image(folder / image.file, image, known)
            if now is not image:
                changed[image.id] = now
            if own is not known:
                measured[now.sha256] = own
            measures.append(own)
    except PictureRefused as refusal:
        return Look(asked.row, (), refusal=refusal.text)
    return Look(asked.row, tuple(measures), measured, changed)


def _look_at_image(path: Path, image: ImageFile, known: Measures | None) -> tuple[ImageFile, Measures]:
    try:
        data = path.read_bytes()
    except OSError:
        raise PictureRefused("Its file is gone. Remove the picture, or add it again.") from None
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 == image.sha256 and known is not None:
        return image, known
    decoded = decode_picture(data).pixels
    if sha256 != image.sha256:
        image = replace(image, sha256=sha256, width=decoded.width, height=decoded.height)
    return image, measure_picture(decoded)


def take_all_known(folder: Path, asked: Iterator[Asked]) -> Generator[Look]:
    """The same as `look_at` of each, without a look where everything is known of files that are there; of others, several at once."""
    with ThreadPoolExecutor(_THREADS) as threads:
        while part := list(islice(asked, _PART)):
            looks = {number: threads.submit(look_at, folder, one) for number, one in enumerate(part) if not _is_known(folder, one)}
            for number, one in enumerate(part):
                known = tuple(measures for measures in one.measures if measures is not None)
                yield looks[number].result() if number in looks else Look(one.row, known)


def _is_known(folder: Path, asked: Asked) -> bool:
    return None not in asked.measures and all(os.path.isfile(f"{folder}/{image.file}") for image in asked.row.images)
