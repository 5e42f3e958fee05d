"""What the Train page asks beside its native fields; the same doors for those who train without a browser."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.errors import DarkroomError
from studio.datasets.watch import Stopped
from studio.web.context import Context
from studio.web.run_starts import Starts
from studio.web.train_view import Asked, describe_run, first_name, first_values, offered_presets


class RunRequest(BaseModel):
    """A run as it stands on the form. `ticket` makes a start that is sent twice start once."""

    dataset: str = Field(max_length=64)
    preset: str = Field(max_length=120)
    name: str = Field("", max_length=200)
    values: dict[str, Any] = Field(default_factory=dict)
    ticket: str = Field("", max_length=64)


def router(context: Context) -> APIRouter:
    """The Train page's routes."""
    api = APIRouter(prefix="/api/train")
    starts = Starts(context)

    def asked(request: RunRequest) -> Asked:
        preset = next((p for p in offered_presets() if p.key == request.preset), None)
        first = first_values(context, request.dataset, preset) if preset else {}
        return Asked(request.dataset, request.preset, request.name or first_name(context, request.dataset), {**first, **request.values})

    @api.get("/presets")
    def presets() -> JSONResponse:
        keys = ("key", "name", "sentence", "task", "base_model", "gpu_memory_gb", "minutes", "minutes_on", "sources", "values")
        return JSONResponse({"presets": [{k: getattr(p, k) for k in keys} for p in offered_presets()]})

    @api.post("/forecast")
    def forecast(request: RunRequest) -> JSONResponse:
        return JSONResponse(describe_run(context, asked(request), insist=True), headers={"Cache-Control": "no-store"})

    @api.post("/start")
    def start(request: RunRequest) -> JSONResponse:
        try:
            return JSONResponse({"run": starts.start(request.ticket, asked(request))})
        except Stopped:
            raise DarkroomError("It was stopped. Nothing was started.") from None

    return api
