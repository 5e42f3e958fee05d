"""What the crop dialogue and the bucket preview ask: how a picture is edited, where its subject is, into which bucket it comes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.base_models import find_base_model
from backends.contract.buckets import choose_bucket, compute_placement
from backends.contract.errors import DarkroomError
from studio.datasets.buckets import compute_lost, count_buckets, list_buckets
from studio.datasets.checks import Target, find_target
from studio.datasets.crops import Wish, find_crops
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Edit, checked_edit, edit_of, whole_of
from studio.datasets.framing import say_frame
from studio.datasets.judges import mark_judges
from studio.datasets.opencv import INSTALL, is_installed
from studio.datasets.places import Runs
from studio.datasets.rows import ImageFile, Picture
from studio.web.choices import choose_base_model
from studio.web.context import Context
from studio.web.dataset_routes import describe_picture, ids_at
from studio.workspace import safe_id

EXAMPLES = 24  # of each bucket
_NO_STORE = {"Cache-Control": "no-store"}
Side = Annotated[int, Query(ge=1, le=100_000)]


class Edited(BaseModel):
    """An edit as a person made it: left, top, width and height in px of the whole picture, quarter turns clockwise, mirrored."""

    crop: list[float] | None = Field(None, max_length=4)
    turns: int = Field(0, ge=-1000, le=1000)
    mirrored: bool = False


class Chosen(BaseModel):
    """Rows by their ids, or by the places where they stand."""

    ids: list[str] = Field([], max_length=100_000)
    places: Runs = []


class Excluded(Chosen):
    """Rows that are left out of training, or taken in again."""

    excluded: bool = True


class Judging(Chosen):
    """Rows that judge every run and are never learnt from, or are learnt from again."""

    judges: bool = True


def router(context: Context) -> APIRouter:
    """`/api/datasets/{id}/pictures/{id}/...`, `/exclude`, `/judge`, `/buckets` and `/place`."""
    api = APIRouter(prefix="/api/datasets/{dataset_id}")
    store = context.datasets

    def row_of(dataset_id: str, picture_id: str) -> Picture:
        return store.picture(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture"))

    @api.get("/pictures/{picture_id}/edit")
    def show(dataset_id: str, picture_id: str) -> JSONResponse:
        return _answer(describe_edit(context, dataset_id, row_of(dataset_id, picture_id)))

    @api.put("/pictures/{picture_id}/edit")
    def edit(dataset_id: str, picture_id: str, wanted: Edited) -> JSONResponse:
        whole = _shown_whole(row_of(dataset_id, picture_id))
        made = checked_edit(wanted.crop, wanted.turns, mirrored=wanted.mirrored, size=(whole.width, whole.height))
        token = edit_pictures(store, dataset_id, {picture_id: made})
        return _answer({"token": token, "picture": describe_picture(store.picture(dataset_id, picture_id))})

    @api.get("/pictures/{picture_id}/subject")
    def subject(dataset_id: str, picture_id: str, aspect: Annotated[float, Query(gt=0)]) -> JSONResponse:
        """The part of this shape of the whole picture that keeps faces, else what stands out."""
        row = row_of(dataset_id, picture_id)
        wish = Wish(f"{aspect!r}:1", "subject", find_target(None, choose_base_model(context, dataset_id)))
        (found,) = find_crops(store, dataset_id, [(row, Edit())], 1, wish)
        if found.around is None:
            raise DarkroomError(found.refusal)
        whole = _shown_whole(row)
        said = {"around": found.around, "said": say_frame(found.around, found.faces), "faces": found.faces}
        return _answer({"crop": found.edit.crop or (0, 0, whole.width, whole.height), **said})

    def ids_of(dataset_id: str, wanted: Chosen) -> list[str]:
        ids = [safe_id(i, "picture") for i in wanted.ids] + ids_at(store, safe_id(dataset_id, "data set"), wanted.places)
        if not ids:
            raise DarkroomError("Choose at least one picture first.")
        return ids

    @api.post("/exclude")
    def exclude(dataset_id: str, wanted: Excluded) -> JSONResponse:
        return _answer({"token": exclude_pictures(store, dataset_id, ids_of(dataset_id, wanted), excluded=wanted.excluded)})

    @api.post("/judge")
    def judge(dataset_id: str, wanted: Judging) -> JSONResponse:
        return _answer({"token": mark_judges(store, dataset_id, ids_of(dataset_id, wanted), judges=wanted.judges)})

    _add_bucket_routes(api, context)
    return api


def _add_bucket_routes(api: APIRouter, context: Context) -> None:
    def target_of(dataset_id: str, resolution: int | None) -> Target:
        return find_target(resolution, choose_base_model(context, safe_id(dataset_id, "data set")))

    @api.get("/place")
    def place(dataset_id: str, width: Side, height: Side, resolution: int | None = None) -> JSONResponse:
        """Where a picture of this size would come to."""
        placement = compute_placement(width, height, choose_bucket(width, height, list_buckets(target_of(dataset_id, resolution))))
        sides = {"width": placement.bucket.width, "height": placement.bucket.height}
        return _answer({**sides, "enlarged": round(placement.scaled_width / width, 3), "lost": round(compute_lost(placement), 4)})

    @api.get("/buckets")
    def buckets(dataset_id: str, resolution: int | None = None, square: bool = False) -> JSONResponse:
        target = target_of(dataset_id, resolution)
        lines = count_buckets(context.datasets, dataset_id, target, square=square, examples=EXAMPLES)
        base = find_base_model(choose_base_model(context, dataset_id))
        own = {"resolution": target.resolution, "step": target.step, "square": square, "base": base.name if base else ""}
        return _answer({**own, "own_resolution": base.resolution if base else target.resolution, "buckets": [b.to_json() for b in lines]})


def describe_edit(context: Context, dataset_id: str, row: Picture) -> dict[str, Any]:
    """The whole picture, what is done to it now, and the shapes that a training knows."""
    whole, edit = _shown_whole(row), edit_of(row.images[-1])
    base = choose_base_model(context, dataset_id)
    buckets = [[b.width, b.height] for b in list_buckets(find_target(None, base))]
    known = find_base_model(base)
    shown = {"id": row.id, "name": row.name, "pair": row.before is not None, "missing": row.missing}
    sizes = {"whole": whole.id, "width": whole.width, "height": whole.height, "buckets": buckets, "base": known.name if known else base}
    faces = {"finds_faces": is_installed(), "install": INSTALL}
    return {**shown, **sizes, **faces, "crop": edit.crop, "turns": edit.turns, "mirrored": edit.mirrored}


def _shown_whole(row: Picture) -> ImageFile:
    """The whole picture of a row; of a pair the one after, which a model should make."""
    return whole_of(row.images[-1])


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers=_NO_STORE)
