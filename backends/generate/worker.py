"""The generating worker: `python -m backends.generate.worker`, spoken to as `backends.contract.wire` says.

load  {base_model}
draw  {settings: DrawConfig's values, rows: [changes], columns: [{changes, files: [path or null, one a row]}]}
      A cell is drawn from the settings with its row's changes (prompt, image, width, height) and its column's (loras,
      image_guidance_scale, ...). Every cell is checked before the first is drawn. The columns are drawn in the order given, the rows
      of one column that differ in prompt and picture only in one batch; a null leaves that cell out.
      -> `phase` {phase, text}, `notice` {text}, `step` {done, total, column}, `picture` {column, row, file, seconds},
         then `done` {pictures, seconds}. `total` counts denoising steps of the whole request.

A picture drawn alone and the same one drawn in a batch may differ by 1 of 255 in a few pixels, because matrix products
of other shapes round otherwise. The same request gives the same pixels.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
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
        settings, rows, columns = dict(request.values["settings"]), list(request.values["rows"]), list(request.values["columns"])
        config = parse_config(DrawConfig, settings)
        pipeline = self._load(request, config.base_model)
        cells = [
            _Cell(c, r, parse_config(DrawConfig, settings | row | column["changes"]), Path(column["files"][r]))
            for c, column in enumerate(columns)
            for r, row in enumerate(rows)
            if column["files"][r]
        ]
        self._check(request, pipeline, [cell.config for cell in cells])
        grid = _Grid(request, pipeline)
        batches = _batches(cells, MAX_BATCH)
        grid.total = sum(cells[0].config.num_inference_steps or 0 for cells in batches)
        for batch in batches:
            grid.draw(batch)
        return {"pictures": grid.pictures, "seconds": round(time.monotonic() - started, 3)}

    def _check(self, request: wire.Request, pipeline: DrawPipeline, configs: list[DrawConfig]) -> None:
        """Every fault before the first picture, and what will not be read of the prompts."""
        for config in {_settled(c): c for c in configs}.values():
            pipeline.check(config)
        for source in {c.refiner for c in configs if c.refiner}:
            request.reply("phase", phase="loading", text=f"Loading the refiner {Path(source).name}")
            pipeline.refine_with(source)
            request.reply("phase", phase="drawing", text="Drawing")
        for sentence in pipeline.check_lengths(list(dict.fromkeys(c.prompt for c in configs))):
            request.reply("notice", text=sentence)
        for sentence in pipeline.check_negative(configs):
            request.reply("notice", text=sentence)

    def _load(self, request: wire.Request, name: str) -> DrawPipeline:
        if self._pipeline is None or name != self._name:
            known = Path(name).name
            request.reply("phase", phase="loading", text=f"Loading the base model {known}")
            from backends.generate.loading import load_draw_pipeline  # after the first request: a worker that waits is small

            self._pipeline = None  # two at once may not fit in memory
            self._pipeline, self._name = load_draw_pipeline(name), name
            request.reply("phase", phase="drawing", text="Drawing")
            for sentence in self._pipeline.notices:
                request.reply("notice", text=sentence)
        return self._pipeline


@dataclass(frozen=True)
class _Cell:
    """One picture of a request: its place in the grid, its settings and its file."""

    column: int
    row: int
    config: DrawConfig
    file: Path


class _Grid:
    """The progress of one request over its batches."""

    def __init__(self, request: wire.Request, pipeline: DrawPipeline) -> None:
        self._request, self._pipeline = request, pipeline
        self.total = self.done = self.pictures = 0

    def draw(self, cells: list[_Cell]) -> None:
        """Draws one batch; where memory does not hold it, in halves."""
        self._request.check()
        started, before, steps = time.monotonic(), self.done, cells[0].config.num_inference_steps or 0

        def on_step(done: int) -> None:
            self._request.check()
            self.done = before + done
            self._request.reply("step", done=self.done, total=self.total, column=cells[0].column)

        try:
            pictures = self._pipeline.draw([cell.config for cell in cells], on_step)
        except RuntimeError as error:
            if len(cells) == 1 or not is_out_of_memory(error):
                raise
            self.done = before
            half = len(cells) // 2
            self._request.reply("notice", text=f"Memory did not hold {len(cells)} pictures at once; drawing {half} at a time.")
            self.total += steps
        else:
            self._write(cells, pictures, time.monotonic() - started)
            return
        self.draw(cells[:half])
        self.draw(cells[half:])

    def _write(self, cells: list[_Cell], pictures: list[Any], seconds: float) -> None:
        from backends.generate.png import describe, write_png

        for cell, picture in zip(cells, pictures, strict=True):
            write_png(cell.file, picture, describe(cell.config, picture.size))
            self.pictures += 1
            told = {"column": cell.column, "row": cell.row, "file": str(cell.file)}
            self._request.reply("picture", **told, seconds=round(seconds / len(cells), 3))


def _settled(config: DrawConfig) -> str:
    """What the cells of one batch share: all but the words and the picture."""
    return config.model_dump_json(exclude={"prompt", "image"}) + str(bool(config.image))


def _batches(cells: list[_Cell], size: int) -> list[list[_Cell]]:
    """Cells that can be drawn together, in the order of the columns."""
    groups: dict[tuple[int, str], list[_Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.column, _settled(cell.config)), []).append(cell)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


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
