"""Long work on data sets as the pages follow it: how far it is, Stop, and the answer to what it asks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, StringConstraints

from studio.web.context import Context
from studio.workspace import safe_id

Column = Annotated[str, StringConstraints(max_length=200)]


class ChosenColumns(BaseModel):
    """The columns of a table: that of pictures, or those before and after; those of words and of masks, empty for none."""

    pictures: Annotated[list[Column], Field(min_length=1, max_length=2)]
    words: Column = ""
    mask: Column = ""


def router(context: Context) -> APIRouter:
    """`/api/jobs...`."""
    routes, jobs = APIRouter(), context.work

    @routes.get("/api/jobs")
    def show_all(dataset: Annotated[str, StringConstraints(max_length=64)] = "") -> JSONResponse:
        return _answer([job.describe() for job in jobs.list(dataset)])

    @routes.get("/api/jobs/{job_id}")
    def show(job_id: str) -> JSONResponse:
        return _answer(jobs.get(safe_id(job_id, "job")).describe())

    @routes.post("/api/jobs/{job_id}/stop")
    def stop(job_id: str) -> JSONResponse:
        job = jobs.get(safe_id(job_id, "job"))
        job.stop()
        return _answer(job.describe())

    @routes.post("/api/jobs/{job_id}/columns")
    def columns(job_id: str, body: ChosenColumns) -> JSONResponse:
        job = jobs.get(safe_id(job_id, "job"))
        job.answer(body.model_dump())
        return _answer(job.describe())

    @routes.delete("/api/jobs/{job_id}")
    def dismiss(job_id: str) -> Response:
        jobs.dismiss(safe_id(job_id, "job"))
        return Response(status_code=204)

    return routes


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
