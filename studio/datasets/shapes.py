"""The shapes of pictures, by the proportions that photographers know: how many have each, and which."""

from __future__ import annotations

import math
from collections import Counter

from studio.datasets.index import PictureIndex

SHAPES = {"9:16": 9 / 16, "2:3": 2 / 3, "3:4": 3 / 4, "4:5": 4 / 5, "1:1": 1.0, "5:4": 5 / 4, "4:3": 4 / 3, "3:2": 3 / 2, "16:9": 16 / 9}
_SIZES = "SELECT place, width, height FROM images WHERE side = ''"


def name_shape(width: int, height: int) -> str:
    """The nearest of `SHAPES`, such as 3:2."""
    return min(SHAPES, key=lambda name: abs(math.log(width / height / SHAPES[name])))


def count_shapes(index: PictureIndex) -> tuple[list[tuple[str, int]], int]:
    """The shapes that single pictures have, from tall to wide, with their number; and the width that most of them have, in px (0: none)."""
    shapes: Counter[str] = Counter()
    widths: Counter[int] = Counter()
    with index.read() as table:
        for width, height, count in table.execute("SELECT width, height, count(*) FROM images WHERE side = '' GROUP BY width, height"):
            shapes[name_shape(width, height)] += count
            widths[width] += count
    return [(name, shapes[name]) for name in SHAPES if shapes[name]], max(widths, key=lambda w: (widths[w], w), default=0)


def find_shape(index: PictureIndex, shape: str) -> list[int]:
    """Where the pictures of a shape stand, in their order."""
    with index.read() as table:
        return [place for place, width, height in table.execute(f"{_SIZES} ORDER BY place") if name_shape(width, height) == shape]
