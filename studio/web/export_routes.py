"""A data set that leaves by the pages: begun as a job, then downloaded. A small one is ready before the page has its answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from studio.datasets.export_job import NAMES, Offered, export_file
from studio.web.context import Context
from studio.workspace import safe_id

QUICK_S = 1.0  # so long the answer may wait for the export to be done
_TYPES = {".zip": "application/zip", ".parquet": "application/vnd.apache.parquet"}


class ExportAsked(BaseModel):
    """The form of the file; of folders with repeats how often a picture is shown that came in no such folder."""

    form: Offered = "zip"
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1


def router(context: Context) -> APIRouter:
    """`/api/datasets/{id}/export`, and the file of a job that is done."""
    routes, store = APIRouter(), context.datasets

    @routes.post("/api/datasets/{dataset_id}/export")
    def export(dataset_id: str, body: ExportAsked) -> JSONResponse:
        info = store.info(safe_id(dataset_id, "data set"))
        work = partial(export_file, store, form=body.form, repeats=body.repeats)
        title = f"Export “{info.name}” as {NAMES[body.form]}"
        job = context.work.start("export", title, work, dataset=info.id, folder=context.work.own_folder())
        job.over.wait(QUICK_S)
        return JSONResponse(job.describe(), headers={"Cache-Control": "no-store"})

    @routes.get("/api/jobs/{job_id}/file")
    def download(job_id: str, then: Literal["", "close"] = "") -> FileResponse:
        """The file; with `close` it is gone when it has been sent."""
        path = context.work.made_file(safe_id(job_id, "job"))
        drop = BackgroundTask(context.work.dismiss, job_id) if then else None
        # Packed once more it would be no smaller, and the browser could not tell how much is left.
        return FileResponse(
            path, filename=path.name, media_type=_TYPES[path.suffix], headers={"Content-Encoding": "identity"}, background=drop
        )

    return routes
