"""What the Generate page asks: drawings under way, earlier pictures with their settings, and the LoRAs to mix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from backends.contract import files
from backends.contract.base_models import BASE_MODELS, find_base_model
from backends.contract.draw import KEEP_PICTURE, REFINER_SHARE
from backends.contract.drawing import FAMILIES, SAMPLERS, describe_base
from backends.contract.errors import DarkroomError
from backends.contract.rundir import LORA
from studio.web.brand import FOREVER
from studio.web.context import Context
from studio.web.media_routes import scaled_webp
from studio.web.uploads import receive_files, upload_folder
from studio.workers.draw_jobs import DrawJobs, Strip
from studio.workers.history import History, Output
from studio.workers.loras import LoraInfo, LoraShelf
from studio.workspace import safe_id

SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
KEEPS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
PAGE = 24
_NO_STORE = {"Cache-Control": "no-store"}


class Wish(BaseModel):
    """A drawing: the settings of one picture, and whether a strip is asked for: over the scale of its first result, or, for an edit,
    over how closely the picture is kept.
    """

    values: dict[str, Any] = Field(default_factory=dict)
    strip: bool = False


class Recent:
    """The newest drawing and the newest strip, found again on disk after the studio was started anew."""

    def __init__(self, context: Context, jobs: DrawJobs) -> None:
        self._folder = context.workspace.cache / "draw"
        self._jobs = jobs

    def find(self) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]]]:
        """Status of the newest job, and of the newest strip by what it goes over; each with its `id`."""
        names = sorted((p.stem for p in self._folder.glob("draw-*.json")), reverse=True)[:PAGE] if self._folder.is_dir() else []
        newest: dict[str, Any] | None = None
        strips: dict[str, dict[str, Any]] = {}
        for name in names:
            status = {**self._jobs.status(name), "id": name}
            newest = newest or status
            if isinstance(status.get("strip"), dict):
                strips.setdefault(str(status["strip"].get("over")), status)
        return newest, strips


def router(context: Context) -> APIRouter:  # noqa: C901 - a list of routes, one line each
    """The Generate page's routes."""
    api = APIRouter()
    jobs, history, shelf = DrawJobs(context.workspace, context.generator), History(context.workspace), LoraShelf(context.workspace)
    recent = Recent(context, jobs)

    @api.get("/api/generate")
    def generate() -> JSONResponse:
        newest, strips = recent.find()
        loras = list_loras(shelf)
        answer = {
            "bases": list_bases([lora["base_model"] for lora in loras]),
            "samplers": SAMPLERS,
            "loras": loras,
            "keep": KEEP_PICTURE,
            "refiner_share": REFINER_SHARE,
            "job": newest,
            "strips": strips,
        }
        pages = {"history": _page(history, 0, edits=False), "edits": _page(history, 0, edits=True)}
        return JSONResponse({**answer, **pages}, headers=_NO_STORE)

    @api.post("/api/generate")
    def start(wish: Wish) -> JSONResponse:
        job_id = jobs.start(wish.values, strip=choose_strip(shelf, wish.values) if wish.strip else None)
        return JSONResponse({**jobs.status(job_id), "id": job_id}, headers=_NO_STORE)

    @api.get("/api/generate/jobs/{job_id}")
    def status(job_id: str) -> JSONResponse:
        return JSONResponse({**jobs.status(job_id), "id": job_id}, headers=_NO_STORE)

    @api.post("/api/generate/jobs/{job_id}/stop", status_code=204)
    def stop(job_id: str) -> Response:
        jobs.cancel(job_id)
        return Response(status_code=204)

    @api.get("/api/generate/history")
    def earlier(offset: Annotated[int, Query(ge=0)] = 0, edits: bool = False) -> JSONResponse:
        return JSONResponse(_page(history, offset, edits=edits), headers=_NO_STORE)

    @api.get("/api/generate/history/{output_id}")
    def picture(output_id: str) -> JSONResponse:
        return JSONResponse(_output(history.get(output_id)), headers=_NO_STORE)

    @api.delete("/api/generate/history/{output_id}", status_code=204)
    def delete(output_id: str) -> Response:
        history.delete(output_id)
        for scaled in (context.workspace.cache / "samples").glob(f"output-{safe_id(output_id, 'picture')}-*.webp"):
            scaled.unlink(missing_ok=True)
        return Response(status_code=204)

    @api.get("/media/output/{output_id}.png")
    def media(output_id: str, w: Annotated[int, Query(ge=0, le=2048)] = 0) -> FileResponse:
        return _media(context, history, output_id, w)

    @api.get("/api/loras")
    def loras() -> JSONResponse:
        return JSONResponse(list_loras(shelf), headers=_NO_STORE)

    @api.post("/api/loras")
    async def add(request: Request) -> JSONResponse:
        with upload_folder(context.workspace.temporary) as folder:
            received = (await receive_files(request, folder))[0]
            if received.fault:
                raise DarkroomError(received.fault, field="loras")
            if not received.name.lower().endswith(".safetensors"):
                raise DarkroomError(
                    f"“{received.name}” is not a .safetensors file. Other formats can carry programs and are not read.", field="loras"
                )
            source = received.path.rename(folder / LORA)
            info = await run_in_threadpool(shelf.add, source, received.name)
        return JSONResponse(_lora(info), headers=_NO_STORE)

    return api


def choose_strip(shelf: LoraShelf, values: dict[str, Any]) -> Strip:
    """What a strip of these settings goes over, and how far: a whole model ends where it was trained to."""
    if values.get("image"):
        return Strip("image_guidance_scale", KEEPS)
    keys = [str(use.get("key")) for use in values.get("loras", []) if isinstance(use, dict) and use.get("key")]
    whole = bool(keys) and shelf.get(keys[0]).kind != "lora"
    return Strip("weight", tuple(s for s in SCALES if s <= 1) if whole else SCALES)


def list_loras(shelf: LoraShelf) -> list[dict[str, Any]]:
    """Every LoRA with the run that it comes from; the first of a run is the one to propose (kept, else final)."""
    return [_lora(info) for info in shelf.list(checkpoints=True)]


def _lora(info: LoraInfo) -> dict[str, Any]:
    kind, _, rest = info.key.partition(":")
    base = find_base_model(info.base_model)
    run = rest.partition("@")[0] if kind == "run" else ""
    return {**asdict(info), "run": run, "base_name": base.name if base else info.base_model}


def list_bases(used: list[str]) -> list[dict[str, Any]]:
    """The base models by key, with what suits each; after those known by name those that results were trained from.

    Args:
        used: How the results name their base models.
    """
    strangers = [name for name in dict.fromkeys(used) if name and find_base_model(name) is None]
    listed = []
    for name in [*BASE_MODELS, *strangers]:
        known, facts = BASE_MODELS.get(name), describe_base(name)
        family = FAMILIES.get(facts.family)
        told = {"key": name, "bundled": bool(known and known.bundled), "size_gb": known.size_gb if known else None}
        listed.append({**asdict(facts), **told, "family_title": family.title if family else "", "refines": bool(family and family.refines)})
    return listed


def _page(history: History, offset: int, *, edits: bool) -> dict[str, Any]:
    """A page of earlier pictures, or of earlier edits, newest first, and whether there are more."""
    found = history.list(offset, PAGE + 1, edits=edits)
    return {"items": [_output(o) for o in found[:PAGE]], "more": len(found) > PAGE}


def _output(output: Output) -> dict[str, Any]:
    return asdict(output)


def _media(context: Context, history: History, output_id: str, width: int) -> FileResponse:
    path = history.path(output_id)
    if not path.is_file():
        raise DarkroomError(f"There is no picture “{output_id}”. It may have been deleted.")
    if not width:
        name = str((files.read_json(path.with_suffix(".json")) or {}).get("settings", {}).get("seed", ""))
        return FileResponse(path, media_type="image/png", filename=f"darkroom-{output_id}-{name}.png", headers=FOREVER)
    scaled = scaled_webp(context.workspace.cache, path, f"output-{output_id}", width)
    return FileResponse(scaled, media_type="image/webp", headers=FOREVER)
