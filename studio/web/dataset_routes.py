"""What the Dataset page asks: data sets, their pictures, uploads, removal with undo, and the export."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, StringConstraints
from starlette.background import BackgroundTask

from backends.contract.errors import DarkroomError
from studio.datasets import ingest
from studio.datasets.export import export_dataset
from studio.datasets.trigger import suggest_trigger_word
from studio.runs.state import ACTIVE
from studio.web import dataset_marks
from studio.web.context import Context
from studio.web.uploads import Received, receive_files, upload_folder
from studio.workspace import safe_id

MAX_PICTURES = 20_000
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class Named(BaseModel):
    """A data set's name."""

    name: Name


class Chosen(BaseModel):
    """Ids of pictures."""

    ids: Annotated[list[str], "at least one"]


class Undo(BaseModel):
    """What `remove` answered."""

    token: Annotated[str, StringConstraints(max_length=200)]


def router(context: Context) -> APIRouter:
    """`/api/datasets...`."""
    routes = APIRouter()
    _add_dataset_routes(routes, context)
    _add_picture_routes(routes, context)
    return routes


def _add_dataset_routes(routes: APIRouter, context: Context) -> None:
    store = context.datasets

    @routes.post("/api/datasets")
    def create(body: Named) -> JSONResponse:
        made = store.create(body.name)
        return _answer(asdict(store.update(made.id, trigger_word=suggest_trigger_word(body.name))))

    @routes.get("/api/datasets/{dataset_id}")
    def show(dataset_id: str) -> JSONResponse:
        return _answer(describe_dataset(context, dataset_id))

    @routes.get("/api/datasets/{dataset_id}/marks")
    def marks(dataset_id: str) -> JSONResponse:
        return _answer(dataset_marks.compute_marks(store, safe_id(dataset_id, "data set")))

    @routes.patch("/api/datasets/{dataset_id}")
    def rename(dataset_id: str, body: Named) -> JSONResponse:
        return _answer(asdict(store.update(safe_id(dataset_id, "data set"), name=body.name)))

    @routes.delete("/api/datasets/{dataset_id}")
    def delete(dataset_id: str) -> Response:
        _refuse_in_use(context, dataset_id)
        store.delete(safe_id(dataset_id, "data set"))
        return Response(status_code=204)

    @routes.get("/api/datasets/{dataset_id}/export.zip")
    def export(dataset_id: str) -> FileResponse:
        info = store.info(safe_id(dataset_id, "data set"))
        path = export_dataset(store, info.id, context.workspace.temporary / f"export-{secrets.token_hex(8)}.zip")
        drop = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(path, filename=f"{info.id}.zip", media_type="application/zip", background=drop)


def _add_picture_routes(routes: APIRouter, context: Context) -> None:
    store = context.datasets

    @routes.post("/api/datasets/{dataset_id}/files")
    async def upload(dataset_id: str, request: Request) -> JSONResponse:
        info = await run_in_threadpool(store.info, safe_id(dataset_id, "data set"))
        if info.num_pictures >= MAX_PICTURES:
            raise DarkroomError(f"“{info.name}” has {info.num_pictures:,} pictures; {MAX_PICTURES:,} are the most. Begin another data set.")
        with upload_folder(context.workspace.temporary) as folder:
            files = await receive_files(request, folder)
            return _answer(await run_in_threadpool(take_files, context, dataset_id, files))

    @routes.post("/api/datasets/{dataset_id}/remove")
    def remove(dataset_id: str, body: Chosen) -> JSONResponse:
        return _answer({"token": store.remove(safe_id(dataset_id, "data set"), [safe_id(i, "picture") for i in body.ids])})

    @routes.post("/api/datasets/{dataset_id}/undo")
    def undo(dataset_id: str, body: Undo) -> JSONResponse:
        store.undo(safe_id(dataset_id, "data set"), body.token)
        return _answer(describe_dataset(context, dataset_id))


def describe_dataset(context: Context, dataset_id: str) -> dict[str, Any]:
    """The data set with all its pictures, in their order."""
    info = context.datasets.info(safe_id(dataset_id, "data set"))
    return {**asdict(info), "pictures": [describe_picture(p) for p in context.datasets.pictures(info.id)]}


def describe_picture(picture: Any) -> dict[str, Any]:
    """What the light table shows of one picture."""
    size = {"width": picture.width, "height": picture.height, "bytes": picture.bytes}
    return {"id": picture.id, "name": picture.name, **size, "text": picture.text}


def take_files(context: Context, dataset_id: str, files: list[Received]) -> dict[str, Any]:
    """Brings received files into the data set; one outcome for each picture, caption and refused file."""
    outcomes = []
    for file in files:
        try:
            found = [] if file.fault else ingest.ingest_upload(context.datasets, dataset_id, file.name, file.path)
        except DarkroomError as refusal:  # a ZIP that cannot be opened: the other files have nothing to do with it
            file.fault, found = refusal.text, []
        if file.fault:
            outcomes.append({"name": file.name, "accepted": False, "picture": None, "reason": file.fault})
        for outcome in found:
            picture = describe_picture(context.datasets.picture(dataset_id, outcome.picture_id)) if outcome.picture_id else None
            outcomes.append({"name": outcome.name, "accepted": outcome.accepted, "picture": picture, "reason": outcome.reason})
    return {"outcomes": outcomes}


def _refuse_in_use(context: Context, dataset_id: str) -> None:
    for run in context.runs.list():
        if run.dataset_id == dataset_id and run.state in ACTIVE:
            raise DarkroomError(f"“{run.name}” is training with these pictures. Stop it first, then delete the data set.")


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
