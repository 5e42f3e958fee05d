"""Many pictures at once: cut to one shape around their subjects, given masks of them, and what of those masks a person keeps."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from PIL import Image
from pydantic import BaseModel, Field, StringConstraints

from backends.contract.base_models import find_base_model
from backends.contract.errors import DarkroomError
from studio.datasets.auto_masks import count_masks, drop_masks, keep_masks, make_masks
from studio.datasets.checks import find_target
from studio.datasets.crops import Framed, Keep, Wish, crop_pictures, find_crops, say_cropped, say_left
from studio.datasets.data_jobs import Job
from studio.datasets.edits import edit_of, whole_of
from studio.datasets.framing import say_frame
from studio.datasets.masks import find_mask, is_auto
from studio.datasets.opencv import INSTALL, is_installed
from studio.datasets.places import Runs, from_runs
from studio.datasets.rows import Picture
from studio.datasets.table import PART
from studio.datasets.thumbnails import SIZES
from studio.web.choices import choose_base_model
from studio.web.context import Context
from studio.workspace import safe_id

SHOWN = 12  # pictures of which the frame is shown before anything is done
_DIM = 0.16  # of its light is left of what is not learnt
_GROUND = (26, 24, 22)
_NO_STORE = {"Cache-Control": "no-store"}
Id = Annotated[str, StringConstraints(max_length=64)]


class Chosen(BaseModel):
    """Rows, by the places where they stand or by id; all complete ones where neither is given."""

    places: Runs = []
    ids: list[Id] = Field([], max_length=100_000)


class CropsAsked(Chosen):
    """What they are to be cut to, and around what (see `Wish`)."""

    shape: Annotated[str, StringConstraints(max_length=20)]
    keep: Keep = "subject"


class MasksAsked(Chosen):
    """`over`: masks that a person made give way too."""

    over: bool = False


class Decided(Chosen):
    """Whether automatic masks are right, or are taken away."""

    keep: bool


def router(context: Context) -> APIRouter:
    """`/api/datasets/{id}/crops...`, `/masks...` and the picture as its mask leaves it."""
    api = APIRouter(prefix="/api/datasets/{dataset_id}")
    _add_crops(api, context)
    _add_masks(api, context)
    return api


def _add_crops(api: APIRouter, context: Context) -> None:
    store = context.datasets

    def wish_of(dataset_id: str, body: CropsAsked) -> Wish:
        return Wish(body.shape, body.keep, find_target(None, choose_base_model(context, dataset_id)))

    @api.post("/crops/preview")
    def preview(dataset_id: str, body: CropsAsked) -> JSONResponse:
        """The frames of the first pictures, and how many there are."""
        safe_id(dataset_id, "data set")
        rows = islice(((row, edit_of(row.images[-1])) for row in _rows(context, dataset_id, body)), SHOWN)
        shown = [_describe(one) for one in find_crops(store, dataset_id, rows, SHOWN, wish_of(dataset_id, body))]
        base = find_base_model(choose_base_model(context, dataset_id))
        told = {"count": _count(context, dataset_id, body), "installed": is_installed(), "install": INSTALL}
        return _answer({"frames": shown, "base": base.name if base else "", **told})

    @api.post("/crops")
    def crop(dataset_id: str, body: CropsAsked) -> JSONResponse:
        count, wish = _count(context, dataset_id, body), wish_of(safe_id(dataset_id, "data set"), body)

        def work(job: Job) -> str:
            rows = ((row, edit_of(row.images[-1])) for row in _rows(context, dataset_id, body))
            made = crop_pictures(store, dataset_id, rows, count, wish, job.watch)
            job.token, job.accepted = made.token, len(made.done)
            job.leave(made.left)
            return say_cropped(made)

        kind = "pair" if store.info(dataset_id).kind == "pairs" else "picture"
        return _answer(context.work.start("crop", f"Crop {_many(count, kind)}", work, dataset=dataset_id).describe())


def _add_masks(api: APIRouter, context: Context) -> None:
    store = context.datasets

    @api.post("/masks/count")
    def count(dataset_id: str, body: Chosen) -> JSONResponse:
        """How many there are, and how many have masks already, by whom."""
        if body.ids or body.places:
            masks = [row.mask for row in _rows(context, safe_id(dataset_id, "data set"), body)]
            auto = sum(map(is_auto, masks))
            counts = (len(masks), sum(map(bool, masks)) - auto, auto)
        else:
            counts = count_masks(store.index(safe_id(dataset_id, "data set")))
        told = dict(zip(("count", "by_hand", "auto"), counts, strict=True))
        return _answer({**told, "installed": is_installed(), "install": INSTALL})

    @api.post("/masks")
    def mask(dataset_id: str, body: MasksAsked) -> JSONResponse:
        if store.info(safe_id(dataset_id, "data set")).kind == "pairs":
            raise DarkroomError("Edit pairs have no masks: a pair is learnt whole, at every place. Masks belong to single pictures.")
        count = _count(context, dataset_id, body)

        def work(job: Job) -> str:
            made = make_masks(store, dataset_id, _rows(context, dataset_id, body), count, over=body.over, watch=job.watch)
            job.token, job.accepted = made.token, made.count
            job.leave(made.left)
            stay = f" {_many(made.by_hand, 'mask')} made by hand stayed." if made.by_hand else ""
            return f"{_many(made.count, 'mask')} made. Look through them before you train.{stay}{say_left(made.left)}"

        return _answer(context.work.start("mask", f"Mask {_many(count, 'picture')}", work, dataset=dataset_id).describe())

    @api.post("/masks/decide")
    def decide(dataset_id: str, body: Decided) -> JSONResponse:
        decide_so = keep_masks if body.keep else drop_masks
        token, count = decide_so(store, safe_id(dataset_id, "data set"), _rows(context, dataset_id, body))
        return _answer({"token": token, "count": count})

    @api.get("/pictures/{picture_id}/masked/{size}.webp")
    def look(dataset_id: str, picture_id: str, size: int) -> Response:
        """The picture as it is shown, with what its mask leaves out dimmed."""
        row = store.picture(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture"))
        path = find_mask(store.workspace.dataset(dataset_id), row)
        if path is None:
            raise DarkroomError(f"“{row.name}” has no mask.")
        if size not in SIZES:
            raise DarkroomError(f"There is no thumbnail of {size} px. There is: {', '.join(map(str, SIZES))} px.")
        with Image.open(store.thumbnail(dataset_id, row.face, size)) as picture, Image.open(path) as mask:
            learnt = mask.convert("L").resize(picture.size, Image.Resampling.BOX)
            shown = picture.convert("RGB")
        dim = Image.blend(Image.new("RGB", shown.size, _GROUND), shown, _DIM)
        buffer = io.BytesIO()
        Image.composite(shown, dim, learnt).save(buffer, "WEBP", quality=82)
        return Response(buffer.getvalue(), media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


def _rows(context: Context, dataset_id: str, chosen: Chosen) -> Iterator[Picture]:
    """The rows that are asked for, in parts; those that are gone are left out."""
    index = context.datasets.index(dataset_id)
    if chosen.ids:
        yield from (row for row_id in chosen.ids if (row := index.get(safe_id(row_id, "picture"))) is not None)
    elif chosen.places:
        places = iter(from_runs(chosen.places))
        while part := list(islice(places, PART)):
            yield from index.at(part)
    else:
        yield from (row for row in index.rows() if not row.missing)


def _count(context: Context, dataset_id: str, chosen: Chosen) -> int:
    if chosen.ids or chosen.places:
        return len(chosen.ids) or _length(from_runs(chosen.places))
    numbers = context.datasets.index(safe_id(dataset_id, "data set")).numbers()
    if not numbers.rows - numbers.incomplete:
        raise DarkroomError("There are no pictures here yet. Add some first.")
    return numbers.rows - numbers.incomplete


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _length(items: Iterable[Any]) -> int:
    return sum(1 for _ in items)


def _describe(one: Framed) -> dict[str, Any]:
    whole = whole_of(one.row.images[-1])
    shown = {"id": one.row.id, "name": one.row.name, "whole": whole.id, "width": whole.width, "height": whole.height}
    said = one.refusal if one.around is None else say_frame(one.around, one.faces)
    edit = {"crop": one.edit.crop, "turns": one.edit.turns, "mirrored": one.edit.mirrored}
    return {**shown, **edit, "around": one.around, "said": said}


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers=_NO_STORE)
