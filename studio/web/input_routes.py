"""Pictures to edit: dropped on the page, taken from the history, or from the pairs that a run was not trained on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.web.context import Context
from studio.web.media_routes import MEDIA_HEADERS, scaled_webp
from studio.web.uploads import receive_files, upload_folder
from studio.workers.history import History
from studio.workers.inputs import InputPicture, InputShelf
from studio.workers.pairs import choose_pairs, read_pairs

OFFERED = 6
_NO_STORE = {"Cache-Control": "no-store"}


class Drawn(BaseModel):
    """A picture of the history that is to be edited further."""

    output: str = Field(max_length=64)


class HeldOut(BaseModel):
    """A pair that a run was not trained on."""

    run: str = Field(max_length=64)
    pair: str = Field(max_length=200)


def router(context: Context) -> APIRouter:
    """`/api/inputs...` and `/media/input/...`."""
    routes = APIRouter()
    inputs, history = InputShelf(context.workspace), History(context.workspace)

    @routes.post("/api/inputs")
    async def take_upload(request: Request) -> JSONResponse:
        with upload_folder(context.workspace.temporary) as folder:
            received = (await receive_files(request, folder))[0]
            if received.fault:
                raise DarkroomError(received.fault, field="image")
            return _answer(await run_in_threadpool(inputs.add, received.path, received.name))

    @routes.post("/api/inputs/drawn")
    def take_drawn(drawn: Drawn) -> JSONResponse:
        output = history.get(drawn.output)
        return _answer(inputs.add(history.path(output.id), f"{str(output.settings.get('prompt') or output.id)[:60]}.png"))

    @routes.post("/api/inputs/pair")
    def take_pair(held_out: HeldOut) -> JSONResponse:
        pair = choose_pairs(read_pairs(RunDir(context.workspace.run(held_out.run))), [held_out.pair])[0]
        if not pair.before.is_file():
            raise DarkroomError(f"The picture {pair.before.name} is no longer where it was. Choose another.", field="image")
        return _answer(inputs.add(pair.before, pair.before.name))

    @routes.get("/api/runs/{run_id}/pairs")
    def pairs(run_id: str) -> JSONResponse:
        found = read_pairs(RunDir(context.workspace.run(run_id)))[:OFFERED]
        return JSONResponse([{"id": pair.id, "text": pair.instruction} for pair in found], headers=_NO_STORE)

    @routes.get("/api/inputs/{picture_id}")
    def show(picture_id: str) -> JSONResponse:
        return _answer(inputs.get(picture_id))

    @routes.get("/media/input/{picture_id}.png")
    def media(picture_id: str, w: Annotated[int, Query(ge=0, le=2048)] = 0) -> FileResponse:
        path = inputs.path_of(inputs.get(picture_id).id)
        if not w:
            return FileResponse(path, media_type="image/png", headers=MEDIA_HEADERS)
        scaled = scaled_webp(context.workspace.cache, path, f"input-{picture_id}", w)
        return FileResponse(scaled, media_type="image/webp", headers=MEDIA_HEADERS)

    return routes


def _answer(picture: InputPicture) -> JSONResponse:
    return JSONResponse(asdict(picture), headers=_NO_STORE)
