"""What a comparison draws: its rows and columns, and a name for every cell that changes whenever its pixels would."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.contract.drawing import describe_base
from backends.contract.errors import DarkroomError
from backends.contract.events import read_events
from backends.contract.rundir import LORA, RunDir, complete_checkpoints
from backends.registry import learns_edits
from studio.workers.generator import Column, mixing
from studio.workers.loras import kept_step, read_backend, read_settings
from studio.workers.pairs import SIDES, Pair, choose_pairs, name_sides, read_pairs, size_of

MAX_PROMPTS, MAX_COLUMNS = 16, 40
AT_FIRST_PAIRS = 4
BASE = 0
_VERSION = 2  # part of every cell's name: raise it when the same settings would draw other pixels


@dataclass(frozen=True)
class Line:
    """One row: its words, what it changes in the settings, and, for an edit, the pair that it is drawn from."""

    text: str
    changes: dict[str, Any]
    pair: Pair | None = None
    sides: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Strip:
    """One column: a checkpoint, the base (step 0), or a side of the pairs, which nothing draws."""

    step: int
    side: str = ""


@dataclass(frozen=True)
class Plan:
    """What a comparison draws. `cells[row][column]` are names of files; words have the base first, edits the pair's two pictures."""

    config: DrawConfig
    lines: list[Line]
    strips: list[Strip]
    cells: list[list[str]]
    order: list[int]
    scale: float

    @property
    def steps(self) -> list[int]:
        """The checkpoints."""
        return [strip.step for strip in self.strips if strip.step != BASE]


def largest_scale(run: RunDir) -> float:
    """How far its results can be turned up: a LoRA beyond what it learnt, a whole model up to it."""
    steps = complete_checkpoints(run)
    whole = bool(steps) and run.weights(steps[-1]).name != LORA
    return 1.0 if whole else 1.5


def choose_defaults(run: RunDir) -> dict[str, Any]:
    """What to compare where nobody chose: {prompts, steps, seed, scale, largest_scale, edits}; all complete checkpoints.

    A run on edits has ids of held-out pairs for prompts.
    """
    settings = read_settings(run)
    edits = learns_edits(read_backend(run))
    pairs = [pair.id for pair in read_pairs(run)][: min(MAX_PROMPTS, int(settings.get("num_sample_pairs") or AT_FIRST_PAIRS))]
    return {"prompts": pairs if edits else _default_prompts(run, settings), "edits": edits} | {
        "steps": complete_checkpoints(run), "seed": settings.get("sample_seed", 42), "scale": 1.0, "largest_scale": largest_scale(run)
    }  # fmt: skip


def build_plan(run: RunDir, chosen: dict[str, Any], scale: float, values: dict[str, Any]) -> Plan:
    """The comparison that is asked for.

    Raises:
        DarkroomError: When a setting is out of its range, or the run has no such checkpoint or pair.
    """
    settings = read_settings(run)
    steps = _check_steps(run, chosen["steps"])
    most = largest_scale(run)
    if scale > most:
        reach = f"the LoRA can be turned up to {most:g}" if most > 1 else "a whole model goes from 0, the base model, to 1, as trained"
        raise DarkroomError(f"The weight is {scale:g}; {reach}. Set it from 0 to {most:g}.", field="scale")
    base_model = str(settings.get("pretrained_model_name_or_path") or "pocket-sdxl")
    side = settings.get("resolution")
    asked = {"base_model": base_model, "seed": chosen["seed"], "width": side, "height": side}
    asked |= {"guidance_scale": settings.get("sample_guidance_scale"), "num_inference_steps": settings.get("sample_steps")}
    if chosen["edits"]:
        lines = _lines_of_pairs(run, chosen["prompts"], int(side or describe_base(base_model).resolution), base_model)
        asked |= {"image": str(lines[0].pair and lines[0].pair.before), **lines[0].changes}
        asked |= {"image_guidance_scale": settings.get("sample_image_guidance_scale")}
    else:
        lines = _lines_of_prompts(chosen["prompts"])
    config = parse_config(DrawConfig, {**asked, **values, "loras": [{"path": str(run.weights(steps[0])), "weight": scale}]})
    strips = [Strip(BASE, side) for side in SIDES] if chosen["edits"] else [Strip(BASE)]
    strips += [Strip(step) for step in steps]
    cells = [[_cell_name(run, config, line, strip, scale) for strip in strips] for line in lines]
    losses = read_losses(run)
    best = likely_best(run, steps, losses)
    order = sorted((i for i, s in enumerate(strips) if not s.side), key=lambda i: _rank(strips[i].step, best, losses))
    return Plan(config, lines, strips, cells, order, scale)


def missing_columns(run: RunDir, plan: Plan, folder: Path) -> list[Column]:
    """What is still to draw, in order. A cell that two columns share (scale 0: all of them) is drawn once."""
    planned: set[str] = set()
    columns = []
    for index in plan.order:
        step, wanted = plan.strips[index].step, []
        for row in plan.cells:
            fresh = row[index] not in planned and not (folder / f"{row[index]}.png").is_file()
            planned.add(row[index])
            wanted.append(folder / f"{row[index]}.png" if fresh else None)
        if any(wanted):
            bare = step == BASE or (plan.scale == 0 and plan.config.image is None)
            loras = () if bare else (LoraUse(path=str(run.weights(step)), weight=plan.scale),)
            columns.append(Column(mixing(*loras), tuple(wanted)))
    return columns


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


def _check_steps(run: RunDir, asked: Any) -> list[int]:
    complete = complete_checkpoints(run)
    steps = sorted({int(s) for s in asked} - {BASE})
    absent = [s for s in steps if s not in complete]
    if absent:
        raise DarkroomError(
            f"This run has no checkpoint at step {absent[0]:,}. It has: {', '.join(map(str, complete)) or 'none'}.", field="steps"
        )
    if not 1 <= len(steps) <= MAX_COLUMNS:
        hint = "Wait for the first checkpoint" if not complete else "Choose fewer" if len(steps) > MAX_COLUMNS else "Choose one or more"
        raise DarkroomError(f"There are {len(steps)} checkpoints to compare; it must be 1 to {MAX_COLUMNS}. {hint}.", field="steps")
    return steps


def _lines_of_prompts(asked: Any) -> list[Line]:
    prompts = [str(p).strip() for p in asked if str(p).strip()]
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise DarkroomError(f"There are {len(prompts)} prompts; it must be 1 to {MAX_PROMPTS}.", field="prompts")
    return [Line(prompt, {"prompt": prompt}) for prompt in prompts]


def _lines_of_pairs(run: RunDir, asked: Any, resolution: int, base_model: str) -> list[Line]:
    pairs = choose_pairs(read_pairs(run), [str(i) for i in asked])
    if not 1 <= len(pairs) <= MAX_PROMPTS:
        raise DarkroomError(f"There are {len(pairs)} pairs to compare; it must be 1 to {MAX_PROMPTS}.", field="prompts")
    lines = []
    for pair in pairs:
        size = size_of(pair, resolution=resolution, step=describe_base(base_model).side_step)
        changes = {"prompt": pair.instruction, "width": size[0], "height": size[1]}
        lines.append(Line(pair.instruction, changes, pair, name_sides(pair, size)))
    return lines


def _rank(step: int, best: int | None, losses: dict[int, float]) -> tuple:
    """The likely best first, then the base to hold it against, then the others by their held-out loss."""
    return (step != best, step != BASE, losses.get(step, float("inf")), -step)


def _cell_name(run: RunDir, config: DrawConfig, line: Line, strip: Strip, scale: float) -> str:
    """A hash over everything that decides the pixels; the sides of a pair have names of their own."""
    if strip.side:
        return line.sides[strip.side]
    adapter = None if strip.step == BASE or scale == 0 else _identity(run.weights(strip.step))
    settings = config.model_dump(mode="json", exclude={"loras", "prompt", "image"}) | line.changes
    text = json.dumps([_VERSION, settings, line.sides, adapter, scale if adapter else 0], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_hashes: dict[tuple[str, int, int], str] = {}


def _identity(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


def _default_prompts(run: RunDir, settings: dict[str, Any]) -> list[str]:
    """The run's own sample prompts, else captions that were held out, else the trigger word."""
    prompts = [str(p) for p in settings.get("sample_prompts") or []] or [p for p in [settings.get("validation_prompt")] if p]
    if not prompts and run.manifest.is_file():
        lines = [json.loads(line) for line in run.manifest.read_text("utf-8").splitlines() if line.strip()]
        captions = [str(v.get("caption", "")) for v in sorted(lines, key=lambda v: not v.get("held_out"))]
        prompts = list(dict.fromkeys(c for c in captions if c))[:4]
    return prompts[:MAX_PROMPTS] or [p for p in [str(settings.get("trigger_word") or "")] if p]
