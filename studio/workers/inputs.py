"""The pictures that a person wants edited: decoded as the data sets' are, kept by their content, named by id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.pictures import MAX_BYTES, decode_picture, encode_png
from studio.workspace import Workspace

_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class InputPicture:
    """One picture to edit: its id, the name that the person knows, its size in px, and what was changed on the way in."""

    id: str
    name: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


class InputShelf:
    """Pictures in `inputs/` of the workspace: `<id>.png`, upright sRGB without metadata, and `<id>.json`."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = workspace.root / "inputs"

    def add(self, source: Path, name: str) -> InputPicture:
        """Takes a picture in; the same content gets the same id.

        Raises:
            DarkroomError: When it is too large, damaged, or of a kind that is not taken; the text names it.
        """
        size = source.stat().st_size
        if size > MAX_BYTES:
            raise DarkroomError(
                f"“{name}” has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken. Make it smaller.", field="image"
            )
        data = source.read_bytes()
        try:
            decoded = decode_picture(data)
        except DarkroomError as refused:
            raise DarkroomError(f"“{name}” cannot be edited. {refused.text}", field="image") from None
        shown = Path(name).name[:120] or "picture"
        picture = InputPicture(hashlib.sha256(data).hexdigest()[:24], shown, *decoded.pixels.size, tuple(decoded.notes))
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(self.path_of(picture.id), encode_png(decoded.image))
        files.write_json(self.folder / f"{picture.id}.json", {"name": shown, "width": picture.width, "height": picture.height})
        return picture

    def get(self, picture_id: str) -> InputPicture:
        """The picture of this id.

        Raises:
            DarkroomError: When it is none, or gone.
        """
        path = self.path_of(picture_id)
        told: Any = files.read_json(path.with_suffix(".json"))
        if not path.is_file() or not isinstance(told, dict):
            raise DarkroomError("The picture to edit is not there any more. Choose it again.", field="image")
        return InputPicture(picture_id, str(told.get("name", "picture")), int(told.get("width", 0)), int(told.get("height", 0)))

    def path_of(self, picture_id: str) -> Path:
        """Where it lies, or would."""
        if not isinstance(picture_id, str) or not _ID.fullmatch(picture_id):
            raise DarkroomError(f"“{str(picture_id)[:80]}” is not the id of a picture to edit.", field="image")
        return self.folder / f"{picture_id}.png"
