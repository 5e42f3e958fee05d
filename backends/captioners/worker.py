"""The captioning worker: `python -m backends.captioners.worker`, spoken to as `backends.contract.wire` says.

load     {captioner, offline}
caption  {captioner, offline, files: [absolute path], max_new_tokens, num_beams, batch_size}
         -> `caption` {index, file, text} or `broken` {index, file, text: why} for each picture, then `done` {written, broken}
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps, UnidentifiedImageError

from backends.contract import wire
from backends.contract.errors import DarkroomError

if TYPE_CHECKING:
    from backends.captioners.protocol import Captioner

MAX_PIXELS = 200_000_000


class CaptionWorker:
    """Keeps one captioner loaded; another name replaces it."""

    def __init__(self) -> None:
        self._name = ""
        self._captioner: Captioner | None = None

    def load(self, request: wire.Request) -> dict[str, Any]:
        """Loads the captioner, so that the first caption comes at once."""
        self._load(request)
        return {"captioner": self._name}

    def caption(self, request: wire.Request) -> dict[str, Any]:
        """Captions the files in the order given, and answers as each batch is written."""
        captioner = self._load(request)
        files, written, broken = [Path(f) for f in request.values["files"]], 0, 0
        size = max(1, int(request.values.get("batch_size", 1)))
        options = {"max_new_tokens": int(request.values.get("max_new_tokens", 40)), "num_beams": int(request.values.get("num_beams", 1))}
        for start in range(0, len(files), size):
            request.check()
            pictures: dict[int, Image.Image] = {}
            for index in range(start, min(start + size, len(files))):
                try:
                    pictures[index] = read_picture(files[index])
                except DarkroomError as error:
                    broken += 1
                    request.reply("broken", index=index, file=str(files[index]), text=error.text)
            texts = captioner.caption(list(pictures.values()), **options) if pictures else []
            for index, text in zip(pictures, texts, strict=True):
                written += 1
                request.reply("caption", index=index, file=str(files[index]), text=text)
        return {"written": written, "broken": broken}

    def _load(self, request: wire.Request) -> Captioner:
        name = str(request.values.get("captioner", "pocket-blip"))
        if self._captioner is None or name != self._name:
            request.reply("phase", phase="loading", text=f"Loading the captioner {Path(name).name}")
            from backends.captioners.blip import load_blip  # after the first request: a worker that waits is small

            self._captioner = None  # two at once may not fit in memory
            self._captioner, self._name = load_blip(name, offline=bool(request.values.get("offline", False))), name
        return self._captioner


def read_picture(path: Path) -> Image.Image:
    """The picture upright, in RGB, transparent parts on white.

    Raises:
        DarkroomError: When it cannot be read.
    """
    try:
        with Image.open(path) as file:
            if file.width * file.height > MAX_PIXELS:
                raise DarkroomError(f"“{path.name}” has {file.width} × {file.height} px; 200 million are the most.")
            file.load()
            upright = ImageOps.exif_transpose(file)
    except FileNotFoundError:
        raise DarkroomError(f"“{path.name}” is not there any more.") from None
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DarkroomError(f"“{path.name}” cannot be read as a picture: {str(error).replace(str(path), path.name)[:200]}") from None
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        return Image.alpha_composite(white, upright).convert("RGB")
    return upright.convert("RGB")


def explain(error: BaseException) -> str | None:
    """A plain sentence for what the hardware refuses."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "The captioner does not fit in memory. Close what else uses it, or choose pocket-blip."
    return None


def main() -> None:
    """Serves until stdin ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    worker = CaptionWorker()
    wire.serve({"load": worker.load, "caption": worker.caption}, explain)


if __name__ == "__main__":
    main()
