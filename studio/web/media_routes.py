"""Pictures by id, never by path: thumbnails, originals and samples. What an address shows never changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse
from PIL import Image, ImageFilter

from backends.contract import files
from backends.contract.rundir import RunDir
from studio.web.brand import FOREVER
from studio.web.context import Context
from studio.workspace import safe_id

SIZES = (96, 192, 384, 768)
_SAMPLE = re.compile(r"p(\d{1,3})_s(\d{1,3})\.png")
MEDIA_HEADERS = {**FOREVER, "Content-Security-Policy": "default-src 'none'; sandbox"}  # a picture is never a page


def router(context: Context) -> APIRouter:
    """`/media/...`."""
    routes = APIRouter()

    @routes.get("/media/thumb/{dataset_id}/{picture_id}/{size}.webp")
    def thumb(dataset_id: str, picture_id: str, size: int) -> FileResponse:
        path = context.datasets.thumbnail(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture"), size)
        return FileResponse(path, media_type="image/webp", headers=MEDIA_HEADERS)

    @routes.get("/media/picture/{dataset_id}/{picture_id}")
    def picture(dataset_id: str, picture_id: str) -> FileResponse:
        path = context.datasets.path(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture"))
        return FileResponse(path, headers=MEDIA_HEADERS)

    @routes.get("/media/run/{run_id}/sample/{step}/{name}")
    def sample(run_id: str, step: int, name: str, w: Annotated[int, Query(ge=0, le=2048)] = 0) -> FileResponse:
        match = _SAMPLE.fullmatch(name)
        if match is None or step < 0:
            raise HTTPException(404, "There is no such sample.")
        path = RunDir(context.workspace.run(run_id)).sample(step, int(match[1]), int(match[2]))
        if not path.is_file():
            raise HTTPException(404, "There is no such sample. It may not be made yet.")
        if not w:
            return FileResponse(path, media_type="image/png", headers=MEDIA_HEADERS)
        return FileResponse(scaled_webp(context.workspace.cache, path, f"{run_id}-{step}-{match[1]}-{match[2]}", w), headers=MEDIA_HEADERS)

    return routes


def scaled_webp(cache: Path, source: Path, key: str, width: int) -> Path:
    """A WebP of `source` that is `width` px wide (rounded up to a step of `SIZES`), made once and kept in `cache`.

    Args:
        cache: The workspace's cache.
        source: A picture that never changes.
        key: Safe as a file name, different for every picture.
        width: Asked width in px. A smaller picture is enlarged here, because a browser makes it soft.
    """
    side = next((s for s in SIZES if s >= width), width)
    target = cache / "samples" / f"{key}-{side}.webp"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        scaled: Any = image.convert("RGB")
        enlarged = scaled.width < side
        if scaled.width != side:
            scaled = scaled.resize((side, max(1, round(scaled.height * side / scaled.width))), Image.Resampling.LANCZOS)
        if enlarged:
            scaled = scaled.filter(ImageFilter.UnsharpMask(radius=side / image.width * 0.6, percent=70, threshold=0))
        files.write_bytes(target, _webp(scaled))
    return target


def _webp(image: Image.Image) -> bytes:
    from io import BytesIO

    out = BytesIO()
    image.save(out, "WEBP", quality=88, method=4)
    return out.getvalue()
