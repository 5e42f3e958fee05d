"""What may be done to a picture without touching its file: cut, turned, mirrored; and how a copy says that it was."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.rows import ImageFile, edited_id, whole_id

MIN_SIDE_PX = 32  # half a step of SDXL's buckets; from less nothing can be learnt
MASKS = "masks"  # folder of a data set
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Edit:
    """Always of the whole picture, upright as its EXIF says: first cut, then turned, then mirrored. An empty one gives it back whole.

    `crop` is left, top, width and height in px of the whole picture; `turns` quarter turns clockwise, 0 to 3; `mirrored`: left
    becomes right. Mirrored from top to bottom is two turns and mirrored.
    """

    crop: Box | None = None
    turns: int = 0
    mirrored: bool = False

    def apply(self, picture: Image.Image) -> Image.Image:
        """The edited picture; no pixel is changed or made up."""
        if self.crop:
            left, top, width, height = self.crop
            picture = picture.crop((left, top, left + width, top + height))
        if self.turns:
            picture = picture.transpose(_TURNS[self.turns])
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else picture


_TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}


def checked_edit(crop: Sequence[float] | None, turns: int, *, mirrored: bool, size: tuple[int, int]) -> Edit:
    """The edit of a picture of this size.

    Args:
        crop: Left, top, width and height in px, or all of them as shares of the sides, 0 to 1; None keeps the whole picture.
        turns: Quarter turns clockwise; any whole number.
        mirrored: Left becomes right.
        size: Width and height of the whole picture in px.

    Raises:
        DarkroomError: When the cut leaves the picture, or a side of what stays has less than 32 px.
    """
    box = _checked_box(crop, size) if crop is not None else None
    return Edit(None if box == (0, 0, *size) else box, turns % 4, mirrored)


def _checked_box(crop: Sequence[float], size: tuple[int, int]) -> Box:
    width, height = size
    if len(crop) != 4:
        raise DarkroomError(f"A cut has four numbers: left, top, width, height. These are {len(crop)}.", field="crop")
    values = list(crop)
    if not all(math.isfinite(v) for v in values):
        raise DarkroomError("A number of the cut is infinite or none at all. Give left, top, width and height in px.", field="crop")
    if all(0 <= v <= 1 for v in values):
        values = [values[0] * width, values[1] * height, values[2] * width, values[3] * height]
    left, top = round(values[0]), round(values[1])
    right, bottom = round(values[0] + values[2]), round(values[1] + values[3])
    said = f"The cut is {right - left:,} x {bottom - top:,} px at {left:,}, {top:,}"
    if left < 0 or top < 0 or right > width or bottom > height:
        raise DarkroomError(f"{said}; the picture has {width:,} x {height:,} px. Keep the cut inside it.", field="crop")
    if right - left < MIN_SIDE_PX or bottom - top < MIN_SIDE_PX:
        raise DarkroomError(f"{said}; each side must have at least {MIN_SIDE_PX} px. Choose a larger part.", field="crop")
    return left, top, right - left, bottom - top


def whole_of(image: ImageFile) -> ImageFile:
    """The file before any edit, upright and as large as it was dropped."""
    if not image.edit:
        return image
    return replace(image, id=whole_id(image.id), edit="", **json.loads(image.edit)["whole"])


def edit_of(image: ImageFile) -> Edit:
    """What was done to the whole picture; an empty edit where nothing was."""
    if not image.edit:
        return Edit()
    values: dict[str, Any] = json.loads(image.edit)
    crop = values["crop"]
    return Edit((crop[0], crop[1], crop[2], crop[3]) if crop else None, values["turns"], values["mirrored"])


def name_copy(whole: ImageFile, edit: Edit) -> ImageFile:
    """The file that an edit makes of a whole picture; size and hash are still those of the whole one.

    Its id is made of the content and the edit, so that the same edit of the same picture is the same file everywhere.
    """
    before = {"file": whole.file, "width": whole.width, "height": whole.height, "sha256": whole.sha256}
    words = json.dumps({"crop": edit.crop, "turns": edit.turns, "mirrored": edit.mirrored, "whole": before})
    image_id = edited_id(whole.id, words)
    return replace(whole, id=image_id, file=f"images/{image_id}.png", edit=words)


def mask_copy(image: ImageFile) -> Path:
    """Where the mask of a picture as it is shown lies, relative to the data set's folder: edited as the picture is."""
    mask = Path(image.mask)
    return mask if not image.edit else mask.with_name(f"{mask.stem}_{image.id.rpartition('-')[2]}.png")
