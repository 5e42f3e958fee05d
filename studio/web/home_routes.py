"""What the Home page asks: recent work with where each thing stands and what comes next, the machine, and the sample pictures."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.base_models import is_bundled
from backends.contract.config import parse_config
from backends.contract.errors import DarkroomError
from backends.contract.events import read_events
from backends.contract.rundir import RunDir, step_of
from backends.registry import find_backend
from studio.datasets.import_job import import_sample
from studio.datasets.report import read_summary
from studio.datasets.samples import begin_sample_dataset, find_sample_pairs
from studio.datasets.trash import list_trash
from studio.runs.advice import compute_sentence
from studio.runs.forecast import compute_forecast
from studio.runs.hardware import Hardware, probe_hardware
from studio.runs.state import ACTIVE
from studio.runs.store import describe_base, format_duration
from studio.web.arranging_routes import describe_dataset
from studio.web.choices import choose_preset
from studio.web.context import Context
from studio.web.rail_routes import BROKEN, count_rows, sample_address

CARDS, STRIP, RECIPES = 24, 7, 4
_GOALS = {"subject": "a subject", "style": "a style", "edit": "edits"}


class Sample(BaseModel):
    """Which sample pictures."""

    name: Annotated[str, Field(max_length=80)] = "zog"


def router(context: Context) -> APIRouter:
    """`/api/home`."""
    routes = APIRouter()

    @routes.get("/api/home")
    def home() -> JSONResponse:
        return JSONResponse(describe_home(context), headers={"Cache-Control": "no-store"})

    @routes.post("/api/home/sample")
    def sample(body: Sample) -> JSONResponse:
        made = begin_sample_dataset(context.datasets, body.name)
        work = partial(import_sample, context.datasets, name=body.name)
        job = context.work.start("sample", f"Make “{made.name}”", work, dataset=made.id)
        return JSONResponse({"id": made.id, "name": made.name, "job": job.describe()})

    return routes


def describe_home(context: Context) -> dict[str, Any]:
    """Everything on the page; `works` is empty on the first visit."""
    datasets, runs = context.datasets.list(), context.runs.list()
    newest: dict[str, Any] = {}
    for run in runs:  # newest first, but a run that is training goes before one that is not
        if run.dataset_id not in newest or (run.state in ACTIVE and newest[run.dataset_id].state not in ACTIVE):
            newest[run.dataset_id] = run
    works = [describe_work(context, d, newest.pop(d.id, None)) for d in datasets]
    works += [describe_work(context, None, run) for run in newest.values()]  # their data set was deleted; the model stays
    works.sort(key=lambda w: (not w["live"], -w["time"]))
    pairs = [asdict(sample) for sample in find_sample_pairs()]
    return {
        "works": works[:CARDS],
        "more": max(0, len(works) - CARDS),
        "machine": describe_machine(context),
        "pairs": pairs,
        "trash": len(list_trash(context.datasets)),
    }


def describe_work(context: Context, dataset: Any, run: Any) -> dict[str, Any]:
    """One card: a data set, its newest run, its pictures, its state and the next step."""
    state, next_step = _state_of_run(run) if run else _state_of_dataset(context, dataset)
    number = count_rows(dataset) if dataset else "pictures deleted"
    facts = [number, describe_base(run.base_model) if run else "", f"run {run.name}" if run else ""]
    return {
        "id": dataset.id if dataset else None,
        "data": describe_dataset(dataset) if dataset else None,
        "run": run.id if run else None,
        "name": dataset.name if dataset else run.name,
        "facts": ", ".join(f for f in facts if f),
        "time": run.created if run else dataset.created,
        "live": bool(run and run.state in ACTIVE),
        "state": state,
        "next": next_step,
        "sentence": _sentence(context, run) if run else "",
        "step": run.step if run else 0,
        "max_steps": run.max_steps if run else 0,
        "prompt": run.prompts[0] if run and run.prompts else "",
        "sample": sample_address(run, 768) if run else None,
        "strip": _strip(context, run.id) if run else [],
        "pictures": _pictures(context, dataset),
        "left": format_duration(run.eta_s) if run and run.eta_s is not None else "",
    }


def _state_of_run(run: Any) -> tuple[dict[str, str], dict[str, str]]:
    if run.state in ACTIVE:
        return {"kind": "live", "text": "In the queue" if run.state == "queued" else "Training"}, {
            "page": "monitor",
            "text": "Watch it develop",
        }
    if run.state in BROKEN:
        word = "Failed" if run.state == "failed" else "Interrupted"
        return {"kind": "bad", "text": f"{word} at step {run.step}"}, {"page": "monitor", "text": "See why"}
    if run.kept_step is not None:
        return {"kind": "", "text": f"Ready, step {run.kept_step} kept"}, {"page": "generate", "text": "Generate"}
    if run.state == "stopped":
        return {"kind": "", "text": f"Stopped at step {run.step}"}, {"page": "monitor", "text": "Go on"}
    return {"kind": "", "text": f"Finished, {run.step} steps"}, {"page": "compare", "text": "Compare"}


def _state_of_dataset(context: Context, dataset: Any) -> tuple[dict[str, str], dict[str, str]]:
    number, without = dataset.num_pictures, dataset.num_silent
    pairs = dataset.kind == "pairs"
    what, words_of = ("pairs", "instruction") if pairs else ("pictures", "caption")
    if not number:
        return {"kind": "you", "text": f"No {what} yet"}, {"page": "dataset", "text": f"Add {what}"}
    if dataset.num_incomplete:
        wait = "waits for its other picture" if dataset.num_incomplete == 1 else "wait for their other picture"
        return {"kind": "you", "text": f"{dataset.num_incomplete} {wait}"}, {"page": "dataset", "text": "Complete"}
    if without:
        words = f"{without} without {'an' if pairs else 'a'} {words_of}" if without < dataset.num_training else f"No {words_of}s yet"
        return {"kind": "you", "text": words}, {"page": "captions", "text": f"{words_of.capitalize()}s"}
    report = read_summary(context.datasets, dataset.id)
    if report is None:
        return {"kind": "", "text": f"{words_of.capitalize()}s written"}, {"page": "check", "text": "Check"}
    return {"kind": "", "text": f"Checked, {report.score} % ready"}, {"page": "train", "text": "Train"}


def _sentence(context: Context, run: Any) -> str:
    if run.state not in ACTIVE:
        return str(run.sentence)
    return compute_sentence(read_events(RunDir(context.workspace.run(run.id)).events)) or str(run.sentence)


def _strip(context: Context, run_id: str) -> list[dict[str, Any]]:
    """The first prompt's samples from the base model to now, a few of them."""
    run = RunDir(context.workspace.run(run_id))
    steps = sorted(s for p in _folders(run.samples) if (s := step_of(p)) is not None and run.sample(s, 0).is_file())
    if len(steps) > STRIP:
        steps = [steps[round(i * (len(steps) - 1) / (STRIP - 1))] for i in range(STRIP)]
    return [{"step": s, "img": f"/media/run/{run_id}/sample/{s}/p0_s0.png?w=192"} for s in steps]


def _folders(parent: Path) -> list[Path]:
    return list(parent.iterdir()) if parent.is_dir() else []


def _pictures(context: Context, dataset: Any) -> list[str]:
    """Three pictures of the data set; of pairs the first one before and after, and another after."""
    if dataset is None:
        return []
    rows = context.datasets.pictures(dataset.id, limit=3)
    ids = [row.face for row in rows]
    if rows and rows[0].before is not None and rows[0].before.file:
        ids = [rows[0].before.id, *ids]
    return [f"/media/thumb/{dataset.id}/{image}/384.webp" for image in dict.fromkeys(ids)][:3]


def describe_machine(context: Context) -> dict[str, Any]:
    """The machine in words, what can be trained on it, and how long that takes."""
    hardware = probe_hardware()
    free = shutil.disk_usage(context.workspace.root).free
    recipes = _recipes(hardware, free)
    return {
        "name": hardware.name,
        "sentence": hardware.sentence,
        "disk_gb": round(free / 1e9),
        "can": _name_trainable(recipes),
        "recipes": recipes,
    }


def _recipes(hardware: Hardware, free: int) -> list[dict[str, Any]]:
    """What a person would ask first: a subject and an edit as this machine does them best, then the large models."""
    asked = (("subject", None), ("edit", None), ("subject", "sdxl"), ("subject", "flux-dev"), ("subject", "sd15"))
    presets = list({p.key: p for p in (choose_preset(task, base, hardware) for task, base in asked)}.values())
    found = []
    for preset in presets[:RECIPES]:
        try:
            config = parse_config(find_backend(preset.backend).config, preset.values_for("zog"))
            forecast = compute_forecast(config, preset.pictures, hardware, free)
        except DarkroomError:
            continue  # a preset of the person's own that no longer fits; the Train page says what is wrong with it
        fits = not forecast.problem
        needs = f"needs a GPU with {preset.gpu_memory_gb:g} GB" if preset.gpu_memory_gb else "does not fit here"
        text = f"{_GOALS[preset.task]} in about {format_duration(forecast.seconds)}" if fits else needs
        base = {"base": describe_base(preset.base_model), "bundled": is_bundled(preset.base_model)}
        found.append({"key": preset.key, **base, "text": text, "fits": fits})
    return found


def _name_trainable(recipes: list[dict[str, Any]]) -> str:
    """“SDXL 1.0 and Flux dev”; “the Pocket models” where only those fit; nothing where none does."""
    fitting = [r for r in recipes if r["fits"]]
    large = list(dict.fromkeys(r["base"] for r in fitting if not r["bundled"]))
    if not large:
        return "the Pocket models" if fitting else ""
    return f"{', '.join(large[:-1])} and {large[-1]}" if len(large) > 1 else large[0]
