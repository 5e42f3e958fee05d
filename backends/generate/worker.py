"""The generating worker: `python -m backends.generate.worker`, spoken to as `backends.contract.wire` says.

load  {base_model}
draw  {settings: DrawConfig's values, prompts: [text], columns: [{loras: [{path, weight}], files: [path or null, one a prompt]}]}
      The columns are drawn in the order given, the prompts of one column in one batch; a null leaves that cell out.
      -> `phase` {phase, text}, `notice` {text}, `step` {done, total, column}, `picture` {column, row, file, seconds},
         then `done` {pictures, seconds}. `total` counts denoising steps of the whole request.

A picture drawn alone and the same one drawn in a batch may differ by 1 of 255 in a few pixels, because matrix products
of other shapes round otherwise. The same request gives the same pixels.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.contract import wire
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig

if TYPE_CHECKING:
    from backends.generate.pipeline import DrawPipeline

log = logging.getLogger(__name__)
MAX_BATCH = 16


class GenerateWorker:
    """Keeps one base model loaded; another name replaces it."""

    def __init__(self) -> None:
        self._name = ""
        self._pipeline: DrawPipeline | None = None

    def load(self, request: wire.Request) -> dict[str, Any]:
        """Loads the base model, so that the first picture comes sooner."""
        return {"base_model": self._load(request, str(request.values["base_model"])).name}

    def draw(self, request: wire.Request) -> dict[str, Any]:
        """Draws every asked cell of the grid."""
        started = time.monotonic()
        config = parse_config(DrawConfig, dict(request.values["settings"]))
        prompts, columns = [str(p) for p in request.values["prompts"]], list(request.values["columns"])
        configs = [parse_config(DrawConfig, config.model_dump() | {"loras": column["loras"]}) for column in columns]
        pipeline = self._load(request, config.base_model)
        for sentence in pipeline.check_lengths(prompts):
            request.reply("notice", text=sentence)
        grid = _Grid(request, pipeline, prompts)
        batches = [(i, rows) for i, column in enumerate(columns) for rows in _batches(column["files"], MAX_BATCH)]
        grid.total = sum(config.num_inference_steps or 0 for _ in batches)
        for index, rows in batches:
            grid.draw(index, configs[index], rows, columns[index]["files"])
        return {"pictures": grid.pictures, "seconds": round(time.monotonic() - started, 3)}

    def _load(self, request: wire.Request, name: str) -> DrawPipeline:
        if self._pipeline is None or name != self._name:
            known = Path(name).name
            request.reply("phase", phase="loading", text=f"Loading the base model {known}")
            from backends.generate.pipeline import load_draw_pipeline  # after the first request: a worker that waits is small

            self._pipeline = None  # two at once may not fit in memory
            self._pipeline, self._name = load_draw_pipeline(name), name
            request.reply("phase", phase="drawing", text="Drawing")
        return self._pipeline


class _Grid:
    """The progress of one request over its batches."""

    def __init__(self, request: wire.Request, pipeline: DrawPipeline, prompts: list[str]) -> None:
        self._request, self._pipeline, self._prompts = request, pipeline, prompts
        self.total = self.done = self.pictures = 0

    def draw(self, column: int, config: DrawConfig, rows: list[int], files: list[str | None]) -> None:
        """Draws one batch; where memory does not hold it, in halves."""
        self._request.check()
        started, before = time.monotonic(), self.done

        def on_step(done: int) -> None:
            self._request.check()
            self.done = before + done
            self._request.reply("step", done=self.done, total=self.total, column=column)

        try:
            pictures = self._pipeline.draw(config, [self._prompts[r] for r in rows], on_step)
        except RuntimeError as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
            self.done = before
            half = len(rows) // 2
            self._request.reply("notice", text=f"Memory did not hold {len(rows)} pictures at once; drawing {half} at a time.")
            self.total += config.num_inference_steps or 0
        else:
            self._write(column, config, rows, files, pictures, time.monotonic() - started)
            return
        self.draw(column, config, rows[:half], files)
        self.draw(column, config, rows[half:], files)

    def _write(
        self, column: int, config: DrawConfig, rows: list[int], files: list[str | None], pictures: list[Any], seconds: float
    ) -> None:
        from backends.generate.png import describe, write_png

        for row, picture in zip(rows, pictures, strict=True):
            path = Path(str(files[row]))
            write_png(path, picture, describe(config, self._prompts[row]))
            self.pictures += 1
            self._request.reply("picture", column=column, row=row, file=str(path), seconds=round(seconds / len(rows), 3))


def _batches(files: list[str | None], size: int) -> list[list[int]]:
    rows = [row for row, file in enumerate(files) if file]
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the hardware had no room."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower()


def explain(error: BaseException) -> str | None:
    """A plain sentence for what the hardware refuses."""
    if is_out_of_memory(error):
        return "Memory does not hold a picture of this size with this base model. Choose a smaller size, or close what else uses it."
    if isinstance(error, OSError) and error.strerror:
        return f"The picture could not be written: {error.strerror}. Make room on the disk and try again."
    return None


def main() -> None:
    """Serves until stdin ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    worker = GenerateWorker()
    wire.serve({"load": worker.load, "draw": worker.draw}, explain)


if __name__ == "__main__":
    main()
