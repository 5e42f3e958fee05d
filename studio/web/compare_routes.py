"""What the Compare page asks: the test strip of a run, cell by cell, the star, and the step that is kept."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from backends.contract import files
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.web.brand import FOREVER
from studio.web.context import Context
from studio.web.media_routes import scaled_webp
from studio.workers.compare import ComparisonStore
from studio.workers.compare_plan import likely_best, read_losses
from studio.workers.pairs import SIDES, choose_pairs, read_pairs

AT_FIRST = 8  # columns that are proposed where a run has more checkpoints
MAX_OFFERED = 64  # held-out pairs to choose rows from
_NO_STORE = {"Cache-Control": "no-store"}


class Wish(BaseModel):
    """What to compare; open fields are those of the run."""

    prompts: list[str] | None = Field(None, max_length=64)
    steps: list[int] | None = Field(None, max_length=1000)
    seed: int | None = None
    scale: float = 1.0


class Step(BaseModel):
    """One checkpoint of the run."""

    step: int = Field(ge=1)


def router(context: Context) -> APIRouter:  # noqa: C901 - a list of routes, one line each
    """The Compare page's routes."""
    api = APIRouter()
    store = ComparisonStore(context.workspace, context.generator)

    @api.get("/api/runs/{run_id}/compare")
    def compare(run_id: str) -> JSONResponse:
        return JSONResponse(describe_comparison(context, store, run_id), headers=_NO_STORE)

    @api.get("/api/runs/{run_id}/compare/status")
    def status(run_id: str) -> JSONResponse:
        return JSONResponse(store.status(run_id), headers=_NO_STORE)

    @api.post("/api/runs/{run_id}/compare")
    def start(run_id: str, wish: Wish) -> JSONResponse:
        asked = wish.model_dump()
        if wish.steps is None:
            asked["steps"] = propose_steps(RunDir(context.workspace.run(run_id)))
        return JSONResponse(store.start(run_id, **asked), headers=_NO_STORE)

    @api.post("/api/runs/{run_id}/compare/stop", status_code=204)
    def stop(run_id: str) -> Response:
        store.cancel(run_id)
        return Response(status_code=204)

    @api.post("/api/runs/{run_id}/star", status_code=204)
    def star(run_id: str, chosen: Step) -> Response:
        run = RunDir(context.workspace.run(run_id))
        _check_step(run, chosen.step)
        files.write_json(run.root / "star.json", {"step": chosen.step})
        return Response(status_code=204)

    @api.post("/api/runs/{run_id}/keep", status_code=204)
    def keep(run_id: str, chosen: Step) -> Response:
        context.runs.keep(run_id, chosen.step)
        return Response(status_code=204)

    @api.get("/api/runs/{run_id}/compare/sheet.png")
    def sheet(run_id: str) -> FileResponse:
        return FileResponse(store.export_png(run_id), filename=f"{run_id}-compare.png", media_type="image/png", headers=_NO_STORE)

    @api.get("/media/compare/{run_id}/{name}.png")
    def cell(run_id: str, name: str, w: int = 0) -> FileResponse:
        path = store.cell(run_id, name)
        if not 0 < w <= 2048:
            return FileResponse(path, media_type="image/png", headers=FOREVER)
        scaled = scaled_webp(context.workspace.cache, path, f"compare-{run_id}-{name}", w)
        return FileResponse(scaled, media_type="image/webp", headers=FOREVER)

    @api.get("/media/compare/{run_id}/pair/{pair_id}/{side}.webp")
    def side_of_pair(run_id: str, pair_id: str, side: str, w: Annotated[int, Query(ge=32, le=2048)] = 192) -> FileResponse:
        if side not in SIDES:
            raise HTTPException(404, "A pair has a picture before and a target.")
        pair = choose_pairs(read_pairs(RunDir(context.workspace.run(run_id))), [pair_id])[0]
        path = pair.before if side == "before" else pair.target
        key = hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:24] if path.is_file() else ""
        if not key:
            raise HTTPException(404, f"The picture {path.name} is no longer where it was.")
        return FileResponse(scaled_webp(context.workspace.cache, path, f"pair-{key}", w), media_type="image/webp", headers=FOREVER)

    return api


def describe_comparison(context: Context, store: ComparisonStore, run_id: str) -> dict[str, Any]:
    """The run, what can be compared, what is proposed, and the comparison as it stands (None where none was begun)."""
    info = context.runs.get(run_id)
    run = RunDir(context.workspace.run(run_id))
    steps, losses = complete_checkpoints(run), read_losses(run)
    proposed = {**store.defaults(run_id), "steps": propose_steps(run)}
    best = likely_best(run, steps, {s: v for s, v in losses.items() if s in steps})
    return {
        "run": {"id": run_id, "name": info.name, "state": info.state, "dataset": info.dataset_id},
        "checkpoints": [{"step": s, "loss": losses.get(s)} for s in steps],
        "best": best,
        "kept": info.kept_step,
        "star": read_star(run) or info.kept_step or best,
        "proposed": proposed,
        "pairs": [{"id": p.id, "text": p.instruction} for p in read_pairs(run)[:MAX_OFFERED]] if proposed["edits"] else [],
        "status": store.status(run_id),
    }


def propose_steps(run: RunDir) -> list[int]:
    """All checkpoints, or, of many, eight: the likely best, the last, and the rest spread over the run."""
    steps = complete_checkpoints(run)
    if len(steps) <= AT_FIRST:
        return steps
    losses = {s: v for s, v in read_losses(run).items() if s in steps}
    chosen = {steps[-1], likely_best(run, steps, losses) or steps[0]}
    for index in range(AT_FIRST):
        if len(chosen) < AT_FIRST:
            chosen.add(steps[round(index / (AT_FIRST - 1) * (len(steps) - 1))])
    return sorted(chosen)


def read_star(run: RunDir) -> int | None:
    """The step that the person starred, if any and if it is still there."""
    value = files.read_json(run.root / "star.json")
    step = value.get("step") if isinstance(value, dict) else None
    return step if step in complete_checkpoints(run) else None


def _check_step(run: RunDir, step: int) -> None:
    steps = complete_checkpoints(run)
    if step not in steps:
        raise DarkroomError(f"There is no checkpoint at step {step}. There is: {', '.join(map(str, steps)) or 'none yet'}.")
