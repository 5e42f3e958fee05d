"""The rail's content: where each of the seven steps stands, read from disk at every call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from backends.contract.rundir import RunDir, complete_checkpoints, step_of
from studio.datasets.report import read_summary
from studio.runs.hardware import probe_hardware
from studio.runs.state import ACTIVE
from studio.web.context import Context

BROKEN = ("failed", "crashed", "interrupted")
_MANY = 40


def router(context: Context) -> APIRouter:
    """`GET /api/rail`."""
    routes = APIRouter()

    @routes.get("/api/rail")
    def rail(page: str = "home", dataset: str = "", run: str = "") -> JSONResponse:
        if page == "home" and not dataset and not run:
            dataset, run = _newest(context)
        return JSONResponse(describe_rail(context, dataset, run), headers={"Cache-Control": "no-store"})

    return routes


def _newest(context: Context) -> tuple[str, str]:
    """What one worked on last: a run that is training, else the newest run, else the newest data set."""
    runs = sorted(context.runs.list(), key=lambda r: (r.state not in ACTIVE, -r.created))
    if runs:
        return runs[0].dataset_id, runs[0].id
    return max(((d.created, d.id) for d in context.datasets.list()), default=(0, ""))[1], ""


def describe_rail(context: Context, dataset_id: str, run_id: str) -> dict[str, Any]:
    """Marks, switchers and hardware for the data set and run in the address (or what they imply)."""
    datasets, runs = context.datasets.list(), context.runs.list()
    run = next((r for r in runs if r.id == run_id), None)
    dataset_id = dataset_id or (run.dataset_id if run else "")
    dataset = next((d for d in datasets if d.id == dataset_id), None)
    if run is None and dataset is not None:
        run = next((r for r in runs if r.dataset_id == dataset.id), None)
    steps = _dataset_marks(context, dataset) | _run_marks(context, run)
    return {
        "steps": steps,
        "dataset": _dataset_entry(dataset, True) if dataset else None,
        "datasets": [_dataset_entry(d, d is dataset) for d in datasets[:_MANY]],
        "run": _run_entry(run, True) if run else None,
        "runs": [_run_entry(r, r is run) for r in runs if not dataset or r.dataset_id == dataset.id][:_MANY],
        "active": any(r.state in ACTIVE for r in runs),
        "hw": _hardware(),
    }


def _mark(mark: str = "todo", figure: str = "", part: float = 0.0) -> dict[str, Any]:
    """`mark` is done, run, you, fail or todo; `figure` the one number; `part` 0 to 1 while running."""
    return {"mark": mark, "figure": figure, "part": round(part, 3)}


def _dataset_marks(context: Context, dataset: Any) -> dict[str, Any]:
    if dataset is None:
        return {name: _mark() for name in ("dataset", "captions", "check")}
    number, wanted = dataset.num_pictures, dataset.num_training  # what is left out of training needs no words
    written = wanted - dataset.num_silent
    marks = {"dataset": _mark("done", str(number)) if number else _mark(), "captions": _mark(), "check": _mark()}
    if dataset.num_incomplete:
        marks["dataset"] = _mark("you", f"{number - dataset.num_incomplete}/{number}")
    job = context.jobs.status(dataset.id)
    if job["state"] in ("starting", "running") and job["task"] == "caption":
        marks["captions"] = _mark("run", f"{job['done']}/{job['total']}", job["done"] / max(1, job["total"]))
    elif wanted and written == wanted:
        marks["captions"] = _mark("done", str(written))
    elif written:
        marks["captions"] = _mark("you", f"{written}/{wanted}")
    report = read_summary(context.datasets, dataset.id)
    if number and report:
        marks["check"] = _mark("you" if report.needs_you else "done", str(report.score))
    return marks


def _run_marks(context: Context, run: Any) -> dict[str, Any]:
    marks = {name: _mark() for name in ("train", "monitor", "compare", "generate")}
    if run is None:
        return marks
    marks["train"] = _mark("done")
    part = run.step / run.max_steps if run.max_steps else 0.0
    if run.state in ACTIVE:
        marks["monitor"] = _mark("run", f"{part:.0%}".replace("%", " %"), part)
    elif run.state in BROKEN:
        marks["monitor"] = _mark("fail", str(run.step or ""))
    else:
        marks["monitor"] = _mark("done", str(run.step or ""))
    if run.kept_step is not None:
        marks["compare"] = _mark("done", str(run.kept_step))
    elif run.state not in ACTIVE and complete_checkpoints(RunDir(context.workspace.run(run.id))):
        marks["compare"] = _mark("you")
    if any(context.workspace.outputs.iterdir()):
        marks["generate"] = _mark("done")
    return marks


def _dataset_entry(dataset: Any, on: bool) -> dict[str, Any]:
    words = count_rows(dataset)
    picture = f"/media/thumb/{dataset.id}/{dataset.cover}/192.webp" if dataset.cover else None
    return {"id": dataset.id, "name": dataset.name, "sub": words, "img": picture, "on": on}


def count_rows(dataset: Any) -> str:
    """`12 pictures`, `1 edit pair`: how much is in a data set."""
    noun = "edit pair" if dataset.kind == "pairs" else "picture"
    return f"{dataset.num_pictures} {noun}" + ("" if dataset.num_pictures == 1 else "s")


def _run_entry(run: Any, on: bool) -> dict[str, Any]:
    return {"id": run.id, "name": run.name, "sub": state_words(run), "img": sample_address(run, 96), "on": on, "dataset": run.dataset_id}


def state_words(run: Any) -> str:
    """Where a run stands, in a few words."""
    if run.state in ("queued", "starting"):
        return {"queued": "In the queue", "starting": "Starting"}[run.state]
    if run.state in ACTIVE:
        return f"Step {run.step} of {run.max_steps}"
    if run.state in BROKEN:
        return {"failed": "Failed", "crashed": "Ended without a word", "interrupted": "Interrupted"}[run.state] + f", step {run.step}"
    return ("Finished" if run.state == "finished" else "Stopped") + f", {run.step} steps"


def sample_address(run: Any, width: int | None = None) -> str | None:
    """Where the run's last sample of its first prompt is served, or None while there is none."""
    if not run.last_sample:
        return None
    last = Path(run.last_sample)
    step, first = step_of(last.parent), last.with_name("p0_s0.png")
    name = first.name if first.is_file() else last.name
    return f"/media/run/{run.id}/sample/{step}/{name}" + (f"?w={width}" if width else "")


def _hardware() -> dict[str, str]:
    hardware = probe_hardware()
    return {"name": hardware.name, "free": hardware.free}
