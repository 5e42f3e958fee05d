"""The test strip: prompts or pairs x checkpoints of a run at one seed and scale, each cell a file that is drawn once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.drawing import name_publicly
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.workers.closeness import compute_closeness, compute_likeness
from studio.workers.compare_plan import Plan, build_plan, choose_defaults, likely_best, missing_columns, read_losses
from studio.workers.draw_jobs import Clock
from studio.workers.generator import Generator
from studio.workers.jobs import Job, JobBoard
from studio.workers.loras import kept_step, read_settings
from studio.workers.pairs import place_sides
from studio.workers.sheet import build_sheet
from studio.workspace import Workspace

_CELL = re.compile(r"[0-9a-f]{32}")


class ComparisonStore:
    """Comparisons of the runs of a workspace. A run has one at a time; its cells stay for the next."""

    def __init__(self, workspace: Workspace, generator: Generator) -> None:
        self._workspace, self._generator = workspace, generator
        self._board = JobBoard()

    def defaults(self, run_id: str) -> dict[str, Any]:
        """What to compare where nobody chose: {prompts, steps, seed, scale, largest_scale, edits}."""
        return choose_defaults(RunDir(self._workspace.run(run_id)))

    def start(
        self, run_id: str, *, prompts: list[str] | None = None, steps: list[int] | None = None,
        seed: int | None = None, scale: float = 1.0, values: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Draws what is not there yet, likely-best column first, and returns the status at once.

        A comparison of this run that is under way makes room; its finished cells stay.

        Args:
            run_id: The run.
            prompts: Rows, or those of the run. A run on edits has held-out pairs as rows, each by its id or its instruction.
            steps: Checkpoints, or all complete ones. The base, or the two pictures of a pair, always come first.
            seed: One for all cells.
            scale: Weight of the result, -2 to 2, of a whole model 0 to 1; at 0 every column is the base.
            values: More settings of `DrawConfig` (negative_prompt, guidance_scale, sampler, ...).

        Raises:
            DarkroomError: When a setting is out of its range, or the run has no such checkpoint or pair.
        """
        run, chosen = RunDir(self._workspace.run(run_id)), self.defaults(run_id)
        asked = {"prompts": prompts, "steps": steps, "seed": seed}
        chosen.update({k: v for k, v in asked.items() if v is not None})
        plan = build_plan(run, chosen, scale, values or {})
        folder, started = self._folder(run_id), self._describe(run, plan)
        for line in plan.lines:
            if line.pair:
                place_sides(line.pair, (line.changes["width"], line.changes["height"]), folder)
        missing = sum(not (folder / f"{name}.png").is_file() for name in {n for row in plan.cells for n in row})
        began = {**started, "phase": "waiting", "missing": missing, "seconds_left": None, "notices": [], "closeness": None}
        self._board.start(folder / "status.json", began, lambda job: self._work(job, run, plan))
        return self.status(run_id) or began

    def status(self, run_id: str) -> dict[str, Any] | None:
        """How far the comparison is, or None where there was none yet.

        state, reason, phase, seed, scale, edits, prompts: [{text, trained, pair}], columns: [{step, side, heldout_loss, best, kept}],
        cells: [[{name, ready}]] by row and column, done and total (cells that are drawn), seconds_left, notices,
        closeness: {step: 0 to 1} or None (see `closeness.py`). `trained` says whether the trigger word is in the prompt; a column with
        a `side` shows a picture of each row's pair.
        """
        folder = self._folder(run_id)
        status = self._board.status(folder / "status.json")
        if status is None:
            return None
        names = status.pop("names")
        cells = [[{"name": n, "ready": (folder / f"{n}.png").is_file()} for n in row] for row in names]
        kept = kept_step(RunDir(self._workspace.run(run_id)))
        columns = [{"side": "", **c, "kept": kept is not None and c["step"] == kept} for c in status["columns"]]
        drawn = [cell for row in cells for cell, column in zip(row, columns, strict=True) if not column["side"]]
        done = sum(cell["ready"] for cell in drawn)
        return {"edits": False, **status, "cells": cells, "columns": columns, "done": done, "total": len(drawn)}

    def cell(self, run_id: str, name: str) -> Path:
        """The picture of a cell."""
        path = self._folder(run_id) / f"{name}.png"
        if not isinstance(name, str) or not _CELL.fullmatch(name) or not path.is_file():
            raise DarkroomError("There is no such picture in this comparison.")
        return path

    def cancel(self, run_id: str) -> None:
        """Stops drawing; what is ready stays."""
        self._board.cancel(self._folder(run_id) / "status.json")

    def export_png(self, run_id: str) -> Path:
        """One PNG with every cell at full size, labelled, and the settings inside.

        Raises:
            DarkroomError: When there is no comparison, or not one cell is ready.
        """
        status = self.status(run_id)
        if not status or not status["done"]:
            raise DarkroomError("There is nothing to export yet. Start the comparison first.")
        folder = self._folder(run_id)
        pictures = [[folder / f"{c['name']}.png" if c["ready"] else None for c in row] for row in status["cells"]]
        info = files.read_json(RunDir(self._workspace.run(run_id)).info) or {}
        target = folder / "sheet.png"
        files.write_bytes(target, build_sheet(str(info.get("name") or run_id), status, pictures))
        return target

    def _folder(self, run_id: str) -> Path:
        return self._workspace.cache / "compare" / self._workspace.run(run_id).name

    def _describe(self, run: RunDir, plan: Plan) -> dict[str, Any]:
        losses, trigger = read_losses(run), str(read_settings(run).get("trigger_word") or "")
        best, edits = likely_best(run, plan.steps, losses), plan.config.image is not None
        columns = [
            {
                "step": s.step,
                "side": s.side,
                "heldout_loss": None if s.side else losses.get(s.step),
                "best": bool(s.step) and s.step == best,
            }
            for s in plan.strips
        ]
        prompts = [
            {
                "text": line.text,
                "trained": bool(trigger) and trigger.lower() in line.text.lower(),
                "pair": line.pair.id if line.pair else "",
            }
            for line in plan.lines
        ]
        settings = plan.config.model_dump(mode="json", exclude={"loras", "prompt", "image"})
        settings["base_model"] = name_publicly(plan.config.base_model)
        told = {"columns": columns, "names": plan.cells, "settings": settings, "edits": edits}
        return {"seed": plan.config.seed, "scale": plan.scale, "prompts": prompts, **told}

    def _work(self, job: Job, run: RunDir, plan: Plan) -> None:
        folder, clock = self._folder(run.root.name), Clock()
        columns = missing_columns(run, plan, folder)
        rows = [line.changes | ({"image": str(folder / f"{line.sides['before']}.png")} if line.pair else {}) for line in plan.lines]
        if columns:
            for reply in job.follow(self._generator.grid(plan.config, rows, columns)):
                if reply["kind"] == "phase":
                    job.update(phase=reply["phase"])
                elif reply["kind"] == "notice":
                    job.update(notices=[*job.values["notices"], reply["text"]])
                elif reply["kind"] == "step":
                    job.update(now=False, phase="drawing", seconds_left=clock.left(int(reply["done"]), int(reply["total"])))
        job.update(phase="measuring", seconds_left=0)
        job.update(closeness=self._measure(run, plan, folder), phase="ready")

    def _measure(self, run: RunDir, plan: Plan, folder: Path) -> dict[str, float] | None:
        """How near each column comes to the data set, or each edit to the picture that was wanted."""
        pictures = {s: [folder / f"{row[c]}.png" for row in plan.cells] for c, s in enumerate(plan.strips)}
        if plan.config.image is not None:
            sides = {s.side: files_ for s, files_ in pictures.items() if s.side}
            found = compute_likeness(sides["before"], sides["target"], {s.step: files_ for s, files_ in pictures.items() if not s.side})
        else:
            trigger = str(read_settings(run).get("trigger_word") or "").lower()
            rows = [i for i, line in enumerate(plan.lines) if trigger and trigger in line.text.lower()]
            drawn = {s.step: [files_[i] for i in rows] for s, files_ in pictures.items()}
            found = compute_closeness(run, drawn) if rows else {}
        return {str(step): value for step, value in found.items()} or None
