"""What the Monitor page asks: a run's facts, its events from a byte offset, advice, log, samples and requests to it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from backends.contract import events as event_file
from backends.contract.base_models import find_base_model
from backends.contract.config import read_config_document
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir, complete_checkpoints, step_of
from backends.registry import learns_edits
from studio.datasets.rows import whole_id
from studio.runs import control
from studio.runs.advice import compute_advice, compute_sentence
from studio.runs.digest import Digests
from studio.runs.drawn import count_drawn
from studio.runs.hardware import Hardware, probe_hardware
from studio.runs.state import read_job, read_run_config
from studio.web.brand import FOREVER
from studio.web.check_routes import PAPER
from studio.web.context import Context
from studio.web.hardest import describe_pictures
from studio.web.media_routes import scaled_webp
from studio.web.nearest import find_nearest, manifest_files

LARGE = 600_000  # bytes behind which a reader gets a thinned copy instead of every line
LOG_LINES = 2000
_LOG_BYTES = 400_000
_NO_STORE = {"Cache-Control": "no-store"}
_STEP_KEYS = ("t", "step", "loss", "lr", "ema")


def router(context: Context) -> APIRouter:  # noqa: C901 - a list of routes, one line each
    """The Monitor page's routes."""
    api = APIRouter()
    digests = Digests()

    def run_dir(run_id: str) -> RunDir:
        return RunDir(context.workspace.run(run_id))

    @api.get("/api/runs/latest")
    def latest(dataset: str = "") -> JSONResponse:
        return JSONResponse({"id": _latest_run(context, dataset)}, headers=_NO_STORE)

    @api.get("/api/runs/{run_id}")
    def facts(run_id: str) -> JSONResponse:
        control.reconcile_run(context.workspace, run_id)  # a cluster's job is followed again where its follower has died
        return JSONResponse(describe_run(context, run_id, digests), headers=_NO_STORE)

    @api.get("/api/runs/{run_id}/events")
    def events(run_id: str, offset: int = 0) -> Response:
        return read_events(run_dir(run_id).events, offset, digests)

    @api.get("/api/runs/{run_id}/advice")
    def advice(run_id: str) -> JSONResponse:
        return JSONResponse(_advice(context, run_id, digests), headers=_NO_STORE)

    @api.get("/api/runs/{run_id}/log")
    def log(run_id: str) -> PlainTextResponse:
        text, number = read_log_end(run_dir(run_id).log)
        return PlainTextResponse(text, headers={**_NO_STORE, "X-Lines": str(number)})

    @api.get("/api/runs/{run_id}/nearest")
    def nearest(run_id: str, step: int) -> JSONResponse:
        return JSONResponse(find_nearest(run_dir(run_id), run_id, step), headers=_NO_STORE)

    @api.get("/api/runs/{run_id}/pictures")
    def pictures(run_id: str) -> JSONResponse:
        return JSONResponse(describe_pictures(run_dir(run_id), run_id, _known_names(context, run_id)), headers=_NO_STORE)

    @api.get("/media/run/{run_id}/pair/{prompt}/{side}.webp")
    def pair(run_id: str, prompt: int, side: Literal["before", "target"]) -> FileResponse:
        path = run_dir(run_id).pair_side(prompt, side)
        if not path.is_file():
            raise DarkroomError("This picture is not there. It is kept when the first samples are drawn.")
        return FileResponse(scaled_webp(context.workspace.cache, path, f"{run_id}-pair-{prompt}-{side}", 384), headers=FOREVER)

    @api.get("/media/run/{run_id}/picture/{number}.webp")
    def picture(run_id: str, number: int) -> FileResponse:
        known = manifest_files(run_dir(run_id))
        if not 0 <= number < len(known) or not known[number].is_file():
            raise DarkroomError("There is no picture of this number any more.")
        scaled = scaled_webp(context.workspace.cache, known[number], f"{run_id}-picture-{number}", 192)
        return FileResponse(scaled, media_type="image/webp", headers=FOREVER)

    @api.post("/api/runs/{run_id}/stop", status_code=204)
    def stop(run_id: str) -> Response:
        control.stop_run(context.workspace, run_id)
        return Response(status_code=204)

    @api.post("/api/runs/{run_id}/sample", status_code=204)
    def sample(run_id: str) -> Response:
        control.request_sample(context.workspace, run_id)
        return Response(status_code=204)

    @api.post("/api/runs/{run_id}/resume", status_code=204)
    def resume(run_id: str) -> Response:
        control.resume_run(context.workspace, run_id)
        if _hardware().gpus and context.generator:
            context.generator.release()  # the run needs the GPU's memory; the next drawing starts the worker anew
        return Response(status_code=204)

    @api.get("/api/runs/{run_id}/lora")
    def lora(run_id: str, step: int = 0) -> FileResponse:
        return _lora_file(context, run_id, step)

    @api.get("/api/runs/{run_id}/dataset_report.html")
    def report(run_id: str) -> FileResponse:
        return _report_file(run_dir(run_id))

    return api


def _report_file(run: RunDir) -> FileResponse:
    if not run.report_page.is_file():
        raise DarkroomError("There is no report on the data of this run: it was begun before reports were kept with runs.")
    return FileResponse(run.report_page, media_type="text/html", headers={**_NO_STORE, **PAPER})


def read_events(path: Path, offset: int, digests: Digests) -> Response:
    """The bytes of `events.jsonl` from `offset` to the last newline, untouched; nothing new is a 204 without a body.

    Whoever is far behind gets a thinned copy of everything (`X-Reset`, `X-Thinned`) that ends at `X-Offset`.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    if offset == size:
        return Response(status_code=204, headers=_NO_STORE)
    headers = dict(_NO_STORE)
    if offset > size or offset < 0:
        offset, headers["X-Reset"] = 0, "1"
    if size - offset > LARGE:
        digest = digests.of(path)
        lines = [json.dumps(e, ensure_ascii=False) for e in _slim(digest.events())]
        headers |= {"X-Reset": "1", "X-Thinned": str(digest.num_steps), "X-Offset": str(digest.offset)}
        return Response("\n".join(lines) + "\n", media_type="text/plain", headers=headers)
    data, after = event_file.read_bytes(path, offset)
    if not data:
        return Response(status_code=204, headers=headers)
    return Response(data, media_type="text/plain", headers={**headers, "X-Offset": str(after)})


def _slim(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events without what only the last step has to say (speed, memory), to keep the answer small."""
    last = max((i for i, e in enumerate(events) if e["t"] == "step"), default=-1)
    return [
        {k: e[k] for k in _STEP_KEYS if k in e} if e["t"] == "step" and i != last else {k: v for k, v in e.items() if k != "at"}
        for i, e in enumerate(events)
    ]


def read_log_end(path: Path) -> tuple[str, int]:
    """The last 2,000 lines of a log as text (at most 400,000 bytes are read), and how many they are.

    A progress bar that draws itself anew with a carriage return leaves only its last state.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            data = file.read(_LOG_BYTES)
    except FileNotFoundError:
        return "", 0
    text = data.decode("utf-8", errors="replace")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    if size > _LOG_BYTES and len(lines) > 1:
        lines = lines[1:]  # the first is cut in the middle
    if lines and not lines[-1]:
        lines.pop()
    lines = lines[-LOG_LINES:]
    return "\n".join(lines), len(lines)


def describe_run(context: Context, run_id: str, digests: Digests) -> dict[str, Any]:
    """Everything about a run that does not stand in its events, as the pages show it."""
    run = context.runs.get(run_id)
    root = RunDir(context.workspace.run(run_id))
    config = _config(root)
    base = find_base_model(run.base_model)
    digest = digests.of(root.events)
    losses = {e["step"]: e.get("heldout_loss") for e in digest.others if e["t"] == "checkpoint"}
    where = _where(root)
    lora = root.result if root.result.is_file() else None
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "reason": run.reason,
        "step": run.step,
        "total": run.max_steps,
        "dataset": run.dataset_id,
        "report": root.report_page.is_file(),
        "sentence": run.sentence,
        "prompts": list(run.prompts),
        "base_model": base.name if base else run.base_model,
        "resolution": config.get("resolution") or (base.resolution if base else 0),
        "trigger_word": config.get("trigger_word", ""),
        "sample_every": config.get("sample_every", 0),
        "draws": asdict(count_drawn(root)),
        "edits": learns_edits(run.backend),
        "what": "LoRA" if "rank" in config else "model",
        "seeds": config.get("num_sample_seeds", 1),
        "seconds": run.seconds,
        "eta_s": run.eta_s,
        "learned": run.learned,
        "heldout_ratio": run.heldout_ratio,
        "kept_step": run.kept_step,
        "checkpoints": [{"step": step, "loss": losses.get(step)} for step in complete_checkpoints(root)],
        "lora_mb": round(lora.stat().st_size / 1e6, 2) if lora else None,
        "memory_gb": _memory_gb(_hardware()) if where is None else 0,
        "where": where,
        "others": [_brief(other) for other in context.runs.list() if other.id != run_id][:20],
    }


def _where(root: RunDir) -> dict[str, Any] | None:
    """Which job of a cluster or a cloud the run is; None for one of this machine. A `hopeless` one cannot begin as it waits."""
    job = read_job(root)
    if not job:
        return None
    told = {key: str(job.get(key, "")) for key in ("launcher", "nodes", "partition", "words", "silence")}
    return {"job": str(job.get("id", "")), "hopeless": bool(job.get("hopeless")), **told}


def _brief(run: Any) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "dataset": run.dataset_id,
        "state": run.state,
        "step": run.step,
        "total": run.max_steps,
        "kept_step": run.kept_step,
        "reason": run.reason,
        "sample": _sample_address(run),
    }


def _sample_address(run: Any) -> str:
    """The address of a run's newest sample, or nothing."""
    if not run.last_sample:
        return ""
    path = Path(run.last_sample)
    return f"/media/run/{run.id}/sample/{step_of(path.parent)}/{path.name}"


def _latest_run(context: Context, dataset: str) -> str | None:
    runs = context.runs.list()
    own = [r for r in runs if r.dataset_id == dataset] if dataset else runs
    return max(own, key=lambda r: str(r.created)).id if own else None


def _known_names(context: Context, run_id: str) -> dict[str, tuple[str, str]]:
    """Id in the manifest, and that of the whole picture -> id and name of what the run's data set has now; nothing where it is gone."""
    try:
        rows = context.datasets.pictures(context.runs.get(run_id).dataset_id)
        return {key: (p.id, p.name) for p in rows for key in (whole_id(p.content), p.content)}
    except DarkroomError:
        return {}


def _config(root: RunDir) -> dict[str, Any]:
    try:
        config: dict[str, Any] = read_config_document(root.config)["config"]
    except DarkroomError:
        return {}
    return config


@lru_cache(maxsize=1)
def _hardware() -> Hardware:
    """Asked once: the machine does not change while the app runs."""
    return probe_hardware()


def _memory_gb(hardware: Hardware) -> float:
    """The memory that a run fills: the largest GPU's, else the machine's."""
    return float(max((gpu.memory_gb for gpu in hardware.gpus), default=hardware.memory_gb))


def _advice(context: Context, run_id: str, digests: Digests) -> dict[str, Any]:
    root = RunDir(context.workspace.run(run_id))
    events = digests.of(root.events).events()
    advice = compute_advice(events, read_run_config(root))
    return {"sentence": compute_sentence(events), "list": [asdict(a) for a in advice]}


def _lora_file(context: Context, run_id: str, step: int) -> FileResponse:
    """The LoRA of a complete checkpoint, or of the run's end (`step` 0), as a download."""
    root = RunDir(context.workspace.run(run_id))
    if step and step not in complete_checkpoints(root):
        raise DarkroomError(f"Step {step} of this run has no complete checkpoint.")
    path = root.weights(step) if step else root.result
    if not path.is_file():
        raise DarkroomError("This run has no LoRA yet. It is written when the run ends or is stopped.")
    name = f"{run_id}-{step}.safetensors" if step else f"{run_id}.safetensors"
    return FileResponse(path, filename=name, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})
