"""Every picture that was made on the Generate page, with all its settings beside it."""

from __future__ import annotations

import io
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.workspace import Workspace, safe_id


@dataclass(frozen=True)
class Output:
    """One picture. `settings` are those of `DrawConfig`, with each LoRA by `key`, `name` and `weight`."""

    id: str
    created: float
    settings: dict[str, Any]
    seconds: float
    starred: bool


class History:
    """The pictures in `outputs/`: `<id>.png` and `<id>.json`. Ids sort by time."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.outputs
        self._thumbnails = workspace.cache / "outputs"

    def new_id(self) -> str:
        """An id that no picture has: the time, and a number where several fall in one second."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for count in itertools.count(1):
            candidate = f"{stamp}-{count:03d}"
            try:
                (self._folder / f".{candidate}.taken").open("x").close()  # the file system settles who comes first
            except FileExistsError:
                continue
            if not (self._folder / f"{candidate}.json").exists():
                return candidate
            self.release_id(candidate)
        raise AssertionError

    def add(self, output_id: str, settings: dict[str, Any], seconds: float) -> Output:
        """Writes the settings of a picture that was drawn to `path(output_id)`; from now on it is listed."""
        document = {"settings": settings, "created": time.time(), "seconds": round(seconds, 3), "starred": False}
        files.write_json(self._folder / f"{safe_id(output_id)}.json", document)
        self.release_id(output_id)
        return self.get(output_id)

    def release_id(self, output_id: str) -> None:
        """Gives an id back whose picture was not made, or is listed now."""
        (self._folder / f".{safe_id(output_id)}.taken").unlink(missing_ok=True)

    def path(self, output_id: str) -> Path:
        """Where the picture lies, or will."""
        return self._folder / f"{safe_id(output_id, 'picture')}.png"

    def thumbnail(self, output_id: str, size_px: int) -> Path:
        """The picture as WebP with its longer side at most `size_px`; made once."""
        source, target = self.path(output_id), self._thumbnails / f"{safe_id(output_id)}_{int(size_px)}.webp"
        if not target.is_file():
            if not source.is_file():
                raise DarkroomError(f"There is no picture “{output_id}”. It may have been deleted.")
            write_webp(source, target, size_px)
        return target

    def list(self, offset: int = 0, limit: int | None = None, *, edits: bool | None = None) -> list[Output]:
        """The pictures, newest first.

        Args:
            offset: So many are left out at the start.
            limit: At most so many.
            edits: Only those made from a picture, or only those made from words; by default both.
        """
        ids = sorted((p.stem for p in self._folder.glob("*.json") if p.with_suffix(".png").is_file()), reverse=True)
        found = (output for output in map(self._read, ids) if output and edits in (None, bool(output.settings.get("image"))))
        return [*itertools.islice(found, offset, None if limit is None else offset + limit)]

    def get(self, output_id: str) -> Output:
        """The picture of this id."""
        output = self._read(safe_id(output_id, "picture"))
        if not output:
            raise DarkroomError(f"There is no picture “{output_id}”. It may have been deleted.")
        return output

    def star(self, output_id: str, starred: bool = True) -> None:
        """Marks a picture, or takes the mark away."""
        path = self._folder / f"{safe_id(output_id, 'picture')}.json"
        files.write_json(path, {**(files.read_json(path) or {}), "starred": starred})

    def delete(self, output_id: str) -> None:
        """Deletes a picture with its settings and thumbnails."""
        self.get(output_id)
        (self._folder / f"{output_id}.json").unlink(missing_ok=True)
        self.path(output_id).unlink(missing_ok=True)
        for thumbnail in self._thumbnails.glob(f"{output_id}_*.webp"):
            thumbnail.unlink(missing_ok=True)

    def _read(self, output_id: str) -> Output | None:
        document = files.read_json(self._folder / f"{output_id}.json")
        if not isinstance(document, dict) or not isinstance(document.get("settings"), dict):
            return None
        created, seconds = float(document.get("created", 0)), float(document.get("seconds", 0))
        return Output(output_id, created, document["settings"], seconds, bool(document.get("starred", False)))


def write_webp(source: Path, target: Path, size_px: int) -> None:
    """Writes `source` as WebP with its longer side at most `size_px`."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=88, method=4)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(target, buffer.getvalue())
