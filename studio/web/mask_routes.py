"""What the mask dialogue asks: the mask of a picture as it stands, one that was painted, one of a file's own transparency."""

from __future__ import annotations

import io
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets.auto_masks import make_one
from studio.datasets.edits import whole_of
from studio.datasets.masks import fit_mask, is_auto, masks_of_alpha, read_mask_file, set_masks
from studio.datasets.opencv import INSTALL, is_installed
from studio.datasets.rows import Picture
from studio.web.context import Context
from studio.web.dataset_routes import describe_picture
from studio.workspace import safe_id

MAX_MASK_BYTES = 64 * 2**20
_NO_STORE = {"Cache-Control": "no-store"}


def router(context: Context) -> APIRouter:
    """`/api/datasets/{id}/pictures/{id}/mask`."""
    api = APIRouter(prefix="/api/datasets/{dataset_id}/pictures/{picture_id}/mask")
    store = context.datasets

    def put(dataset_id: str, row: Picture, mask: Image.Image | None) -> JSONResponse:
        token = set_masks(store, dataset_id, {row.id: mask})
        return _answer({"token": token, "picture": describe_picture(store.picture(dataset_id, row.id))})

    @api.put("")
    async def paint(dataset_id: str, picture_id: str, request: Request) -> JSONResponse:
        data = await _read_body(request)

        def take() -> JSONResponse:
            row = _row_of(context, dataset_id, picture_id)
            return put(dataset_id, row, _brought_to_size(row, read_mask_file(data)))

        return await run_in_threadpool(take)

    @api.delete("")
    def remove(dataset_id: str, picture_id: str) -> JSONResponse:
        return put(dataset_id, _row_of(context, dataset_id, picture_id), None)

    _add_looks(api, context)
    return api


def _add_looks(api: APIRouter, context: Context) -> None:
    @api.get("")
    def show(dataset_id: str, picture_id: str) -> JSONResponse:
        row = _row_of(context, dataset_id, picture_id)
        whole = whole_of(row.images[-1])
        shown = {"whole": whole.id, "name": row.name, "width": whole.width, "height": whole.height, "masked": bool(row.mask)}
        return _answer({**shown, "auto": is_auto(row.mask), "installed": is_installed(), "install": INSTALL})

    @api.get("/picture.png")
    def picture(dataset_id: str, picture_id: str) -> Response:
        """The mask of the whole picture; all white where there is none."""
        row = _row_of(context, dataset_id, picture_id)
        whole = whole_of(row.images[-1])
        if not row.mask:
            return _png(Image.new("L", (whole.width, whole.height), 255))
        try:
            data = (context.workspace.dataset(dataset_id) / row.mask).read_bytes()
        except OSError:
            raise DarkroomError(f"The mask of “{row.name}” is gone. Paint it anew, or take it away.") from None
        return Response(data, media_type="image/png", headers=_NO_STORE)

    @api.get("/alpha.png")
    def alpha(dataset_id: str, picture_id: str) -> Response:
        """A mask of the transparency that the file came with."""
        row = _row_of(context, dataset_id, picture_id)
        found = masks_of_alpha(context.datasets, dataset_id, [row]).get(row.id)
        if found is None:
            raise DarkroomError(f"“{row.name}” came without transparent parts. Paint the mask by hand.")
        return _png(found)

    @api.get("/subject.png")
    def subject(dataset_id: str, picture_id: str) -> Response:
        """A mask made without a hand, of which nothing is kept; a header says around how many faces it was made."""
        row = _row_of(context, dataset_id, picture_id)
        made, faces = make_one(context.workspace.dataset(dataset_id), context.workspace.cache, row)
        if made.mask is None:
            raise DarkroomError(f"{made.refusal} Paint the mask by hand.")
        answer = _png(made.mask)
        answer.headers["Darkroom-Faces"] = str(faces)
        return answer


def _row_of(context: Context, dataset_id: str, picture_id: str) -> Picture:
    return context.datasets.picture(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture"))


async def _read_body(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_MASK_BYTES:
            raise DarkroomError(f"The mask has more than {MAX_MASK_BYTES // 2**20} MiB. Paint a simpler one.")
    return bytes(data)


def _brought_to_size(row: Picture, mask: Image.Image) -> Image.Image:
    """Of a large picture a smaller copy is painted on; a mask of another shape is left as it is, to be refused."""
    whole = whole_of(row.images[-1])
    return fit_mask(mask, (whole.width, whole.height)) or mask


def _png(mask: Image.Image) -> Response:
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return Response(buffer.getvalue(), media_type="image/png", headers=_NO_STORE)


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers=_NO_STORE)
