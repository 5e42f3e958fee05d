"""The captioning worker: `python -m backends.captioners.worker`, spoken to as `backends.contract.wire` says.

caption  {captioner, offline, files: [absolute path], wording: {...}}
         -> `caption` {index, text, candidates, guess: does the captioner know nothing like it?}
         or `broken` {index, text: why} for each picture, then `done` {written, broken}
score    {captioner, offline, files, texts, others: [absolute path]}
         -> `score` {index, score} or `broken` for each, then `done`
Before them come `phase` {text}: what it is loading or downloading.

It runs in the studio's Python, or in that of LAVIS, which has little more than torch and Pillow: what is imported here is in both.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps, UnidentifiedImageError

from backends.captioners.flatness import looks_drawn
from backends.contract import wire
from backends.contract.captioning import BUNDLED, read_wording
from backends.contract.errors import DarkroomError

if TYPE_CHECKING:
    from backends.captioners.protocol import Captioner, Scorer

MAX_PIXELS = 200_000_000


class CaptionWorker:
    """Keeps one captioner or scorer loaded; another replaces it."""

    def __init__(self) -> None:
        self._name = ("", "")
        self._loaded: Any = None

    def caption(self, request: wire.Request) -> dict[str, Any]:
        """Captions the files in the order given, and answers as each is written."""
        wording = read_wording(request.values.get("wording") or {})
        captioner: Captioner = self._load(request, "load_captioner")
        captioner.check = request.check

        def write(index: int, picture: Image.Image) -> None:
            texts = captioner.caption(picture, wording)
            guess = self._name[1] == BUNDLED and not looks_drawn(picture)  # it learnt from drawings alone
            request.reply("caption", index=index, text=texts[0] if texts else "", candidates=texts, guess=guess)

        return _work_through(request, write)

    def score(self, request: wire.Request) -> dict[str, Any]:
        """Scores the text of each file, and answers as each is done."""
        scorer: Scorer = self._load(request, "load_scorer")
        texts = request.values["texts"]
        if hasattr(scorer, "compare_with"):
            scorer.compare_with(list(_readable([Path(f) for f in request.values["others"]])))

        def judge(index: int, picture: Image.Image) -> None:
            request.reply("score", index=index, score=round(scorer.score(picture, str(texts[index])), 4))

        return _work_through(request, judge)

    def _load(self, request: wire.Request, how: str) -> Any:
        name = (how, str(request.values.get("captioner", BUNDLED)))
        if self._loaded is None or name != self._name:

            def tell(text: str) -> None:
                request.check()
                request.reply("phase", text=text)

            tell(f"Loading {Path(name[1]).name}")
            from backends.captioners import load  # after the first request: a worker that waits is small

            self._loaded = None  # two at once may not fit in memory
            self._loaded = getattr(load, how)(name[1], offline=bool(request.values.get("offline", False)), tell=tell)
            self._name = name
        return self._loaded


def _work_through(request: wire.Request, work: Callable[[int, Image.Image], None]) -> dict[str, Any]:
    done, broken = 0, 0
    for index, file in enumerate(request.values["files"]):
        request.check()
        try:
            picture = read_picture(Path(file))
        except DarkroomError as error:
            broken += 1
            request.reply("broken", index=index, text=error.text)
            continue
        work(index, picture)
        done += 1
    return {"written": done, "broken": broken}


def _readable(files: list[Path]) -> Iterator[Image.Image]:
    for file in files:
        try:
            yield read_picture(file)
        except DarkroomError:
            continue  # it is told where its own turn comes


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
    wire.serve({"caption": worker.caption, "score": worker.score}, explain)


if __name__ == "__main__":
    main()
