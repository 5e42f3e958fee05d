"""The test strip: prompts x checkpoints of a run at one seed and scale, each cell a file that is drawn once."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.contract.errors import DarkroomError
from backends.contract.events import read_events
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.workers.closeness import compute_closeness
from studio.workers.draw_jobs import Clock
from studio.workers.generator import Column, Generator
from studio.workers.jobs import Job, JobBoard
from studio.workers.loras import kept_step, read_settings
from studio.workers.sheet import build_sheet
from studio.workspace import Workspace

MAX_PROMPTS, MAX_COLUMNS = 16, 40
BASE = 0
_CELL = re.compile(r"[0-9a-f]{32}")
_VERSION = 1  # part of every cell's name: raise it when the same settings would draw other pixels


@dataclass(frozen=True)
class Plan:
    """What a comparison draws. `cells[row][column]` are names of files; column 0 is the base without LoRA."""

    config: DrawConfig
    prompts: list[str]
    steps: list[int]
    cells: list[list[str]]
    order: list[int]


class ComparisonStore:
    """Comparisons of the runs of a workspace. A run has one at a time; its cells stay for the next."""

    def __init__(self, workspace: Workspace, generator: Generator) -> None:
        self._workspace, self._generator = workspace, generator
        self._board = JobBoard()

    def defaults(self, run_id: str) -> dict[str, Any]:
        """What to compare where nobody chose: {prompts, steps, seed, scale}. Steps are all complete checkpoints."""
        run = RunDir(self._workspace.run(run_id))
        settings = read_settings(run)
        prompts, seed = _default_prompts(run, settings), settings.get("sample_seed", 42)
        return {"prompts": prompts, "steps": complete_checkpoints(run), "seed": seed, "scale": 1.0}

    def start(
        self, run_id: str, *, prompts: list[str] | None = None, steps: list[int] | None = None,
        seed: int | None = None, scale: float = 1.0, values: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Draws what is not there yet, likely-best column first, and returns the status at once.

        A comparison of this run that is under way makes room; its finished cells stay.

        Args:
            run_id: The run.
            prompts: Rows, or those of the run.
            steps: Checkpoints, or all complete ones. The base always comes first.
            seed: One for all cells.
            scale: Weight of the LoRA, -2 to 2; at 0 every column is the base.
            values: More settings of `DrawConfig` (negative_prompt, guidance_scale, sampler, ...).

        Raises:
            DarkroomError: When a setting is out of its range, or the run has no such checkpoint.
        """
        run, chosen = RunDir(self._workspace.run(run_id)), self.defaults(run_id)
        chosen.update({k: v for k, v in (("prompts", prompts), ("steps", steps), ("seed", seed)) if v is not None})
        plan = _build_plan(run, chosen, scale, values or {})
        folder, started = self._folder(run_id), self._describe(run, plan, scale)
        missing = sum(not (folder / f"{name}.png").is_file() for name in {n for row in plan.cells for n in row})
        began = {**started, "phase": "waiting", "missing": missing, "seconds_left": None, "notices": [], "closeness": None}
        self._board.start(folder / "status.json", began, lambda job: self._work(job, run, plan, scale))
        return self.status(run_id) or began

    def status(self, run_id: str) -> dict[str, Any] | None:
        """How far the comparison is, or None where there was none yet.

        state, reason, phase, seed, scale, prompts: [{text, trained}], columns: [{step, heldout_loss, best, kept}],
        cells: [[{name, ready}]] by row and column, done and total (cells), seconds_left, notices,
        closeness: {step: 0 to 1} or None (see `closeness.py`). `trained` says whether the trigger word is in the prompt.
        """
        folder = self._folder(run_id)
        status = self._board.status(folder / "status.json")
        if status is None:
            return None
        names = status.pop("names")
        cells = [[{"name": n, "ready": (folder / f"{n}.png").is_file()} for n in row] for row in names]
        kept = kept_step(RunDir(self._workspace.run(run_id)))
        columns = [{**c, "kept": kept is not None and c["step"] == kept} for c in status["columns"]]
        done, total = sum(c["ready"] for row in cells for c in row), sum(len(row) for row in cells)
        return {**status, "cells": cells, "columns": columns, "done": done, "total": total}

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

    def _describe(self, run: RunDir, plan: Plan, scale: float) -> dict[str, Any]:
        losses, trigger = read_losses(run), str(read_settings(run).get("trigger_word") or "")
        best = likely_best(run, plan.steps[1:], losses)
        columns = [{"step": s, "heldout_loss": losses.get(s), "best": s == best} for s in plan.steps]
        prompts = [{"text": p, "trained": bool(trigger) and trigger.lower() in p.lower()} for p in plan.prompts]
        settings = plan.config.model_dump(mode="json", exclude={"loras", "prompt"})
        settings["base_model"] = Path(plan.config.base_model).name if Path(plan.config.base_model).is_absolute() else plan.config.base_model
        return {"seed": plan.config.seed, "scale": scale, "prompts": prompts, "columns": columns, "names": plan.cells, "settings": settings}

    def _work(self, job: Job, run: RunDir, plan: Plan, scale: float) -> None:
        folder, clock = self._folder(run.root.name), Clock()
        columns = _missing_columns(run, plan, folder, scale)
        if columns:
            for reply in job.follow(self._generator.grid(plan.config, plan.prompts, columns)):
                if reply["kind"] == "phase":
                    job.update(phase=reply["phase"])
                elif reply["kind"] == "notice":
                    job.update(notices=[*job.values["notices"], reply["text"]])
                elif reply["kind"] == "step":
                    job.update(now=False, phase="drawing", seconds_left=clock.left(int(reply["done"]), int(reply["total"])))
        job.update(phase="measuring", seconds_left=0)
        job.update(closeness=self._measure(run, plan, folder), phase="ready")

    def _measure(self, run: RunDir, plan: Plan, folder: Path) -> dict[str, float] | None:
        trigger = str(read_settings(run).get("trigger_word") or "").lower()
        rows = [i for i, p in enumerate(plan.prompts) if trigger and trigger in p.lower()]
        drawn = {s: [folder / f"{plan.cells[r][c]}.png" for r in rows] for c, s in enumerate(plan.steps)}
        found = compute_closeness(run, drawn) if rows else {}
        return {str(step): value for step, value in found.items()} or None


def _build_plan(run: RunDir, chosen: dict[str, Any], scale: float, values: dict[str, Any]) -> Plan:
    settings = read_settings(run)
    prompts = [str(p).strip() for p in chosen["prompts"] if str(p).strip()]
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise DarkroomError(f"There are {len(prompts)} prompts; it must be 1 to {MAX_PROMPTS}.", field="prompts")
    complete = complete_checkpoints(run)
    steps = sorted({int(s) for s in chosen["steps"]} - {BASE})
    absent = [s for s in steps if s not in complete]
    if absent:
        raise DarkroomError(
            f"This run has no checkpoint at step {absent[0]:,}. It has: {', '.join(map(str, complete)) or 'none'}.", field="steps"
        )
    if not 1 <= len(steps) <= MAX_COLUMNS:
        hint = "Wait for the first checkpoint" if not complete else "Choose fewer" if len(steps) > MAX_COLUMNS else "Choose one or more"
        raise DarkroomError(f"There are {len(steps)} checkpoints to compare; it must be 1 to {MAX_COLUMNS}. {hint}.", field="steps")
    base_model = str(settings.get("pretrained_model_name_or_path") or "pocket-sdxl")
    side = settings.get("resolution")
    asked = {"base_model": base_model, "seed": chosen["seed"], "width": side, "height": side}
    asked |= {"guidance_scale": settings.get("sample_guidance_scale"), "num_inference_steps": settings.get("sample_steps")}
    config = parse_config(DrawConfig, {**asked, **values, "loras": [{"path": str(run.weights(steps[0])), "weight": scale}]})
    columns = [BASE, *steps]
    cells = [[_cell_name(run, config, prompt, step, scale) for step in columns] for prompt in prompts]
    best = likely_best(run, steps, read_losses(run))
    order = sorted(range(len(columns)), key=lambda i: _rank(columns[i], best, read_losses(run)))
    return Plan(config, prompts, columns, cells, order)


def _rank(step: int, best: int | None, losses: dict[int, float]) -> tuple:
    """The likely best first, then the base to hold it against, then the others by their held-out loss."""
    return (step != best, step != BASE, losses.get(step, float("inf")), -step)


def _missing_columns(run: RunDir, plan: Plan, folder: Path, scale: float) -> list[Column]:
    """What is still to draw, in order. A cell that two columns share (scale 0: all of them) is drawn once."""
    planned: set[str] = set()
    columns = []
    for index in plan.order:
        step, wanted = plan.steps[index], []
        for row in plan.cells:
            fresh = row[index] not in planned and not (folder / f"{row[index]}.png").is_file()
            planned.add(row[index])
            wanted.append(folder / f"{row[index]}.png" if fresh else None)
        if any(wanted):
            loras = () if step == BASE or scale == 0 else (LoraUse(path=str(run.weights(step)), weight=scale),)
            columns.append(Column(loras, tuple(wanted)))
    return columns


def _cell_name(run: RunDir, config: DrawConfig, prompt: str, step: int, scale: float) -> str:
    """A hash over everything that decides the pixels."""
    adapter = None if step == BASE or scale == 0 else _identity(run.weights(step))
    settings = config.model_dump(mode="json", exclude={"loras", "prompt"})
    text = json.dumps([_VERSION, settings, prompt, adapter, scale if adapter else 0], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_hashes: dict[tuple[str, int, int], str] = {}


def _identity(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


def likely_best(run: RunDir, steps: list[int], losses: dict[int, float]) -> int | None:
    """The kept step, else the one with the lowest held-out loss, else the last."""
    kept = kept_step(run)
    if kept in steps:
        return kept
    judged = [s for s in steps if s in losses]
    return min(judged, key=lambda s: losses[s]) if judged else steps[-1] if steps else None


def read_losses(run: RunDir) -> dict[int, float]:
    """Held-out loss by step, as measured in training; 0 is the base's, before the first step."""
    losses: dict[int, float] = {}
    for event in read_events(run.events):
        value = event.get("loss") if event["t"] == "eval" else event.get("heldout_loss") if event["t"] == "checkpoint" else None
        if isinstance(value, int | float) and isinstance(event.get("step"), int):
            losses[event["step"]] = float(value)
        if event["t"] == "result" and isinstance(event.get("heldout_loss_start"), int | float):
            losses.setdefault(BASE, float(event["heldout_loss_start"]))
    return losses


def _default_prompts(run: RunDir, settings: dict[str, Any]) -> list[str]:
    """The run's own sample prompts, else captions that were held out, else the trigger word."""
    prompts = [str(p) for p in settings.get("sample_prompts") or []] or [p for p in [settings.get("validation_prompt")] if p]
    if not prompts and run.manifest.is_file():
        lines = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
        captions = [str(v.get("caption", "")) for v in sorted(lines, key=lambda v: not v.get("held_out"))]
        prompts = list(dict.fromkeys(c for c in captions if c))[:4]
    return prompts[:MAX_PROMPTS] or [p for p in [str(settings.get("trigger_word") or "")] if p]
