"""What the Dataset page asks: data sets, their pictures, uploads, removal with undo."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from backends.contract.errors import DarkroomError
from studio.datasets import captions, ingest, pairs
from studio.datasets.auto_masks import find_auto
from studio.datasets.data_jobs import Job
from studio.datasets.formats.lists import LISTS, STANDARD
from studio.datasets.import_job import TABLES, import_files, may_ask, needs_job
from studio.datasets.incoming import ARCHIVES, Found
from studio.datasets.ingest_pairs import ingest_side
from studio.datasets.kinds import KINDS, count_kinds, find_common_words
from studio.datasets.masks import is_auto
from studio.datasets.pair_names import find_columns, looks_like_pairs
from studio.datasets.places import Runs, from_runs, read_runs, to_runs
from studio.datasets.rows import ImageFile, Picture, Side
from studio.datasets.shapes import count_shapes, find_shape
from studio.datasets.steps import list_steps
from studio.datasets.store import MAX_PICTURES, DatasetInfo, DatasetStore
from studio.datasets.trigger import suggest_trigger_word
from studio.web.context import Context
from studio.web.dataset_marks import MarksKeeper
from studio.web.uploads import Received, receive_files, upload_folder
from studio.workspace import safe_id

MAX_NAMES = 4000
SEEN_ROWS = 200  # more than a screen shows; the page asks for others when they are looked at
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Places = Annotated[str, Query(max_length=20_000)]


class Named(BaseModel):
    """A data set's name."""

    name: Name


class Begun(Named):
    """A new data set: its name, its kind where a person chose it, and the names of the files that are about to come."""

    kind: Literal["", "pictures", "pairs"] = ""
    files: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=MAX_NAMES)] = []
    listed: Annotated[str, StringConstraints(max_length=4000)] = ""


class Kind(BaseModel):
    """The kind of a data set that is still empty."""

    kind: Literal["pictures", "pairs"]


class Chosen(BaseModel):
    """Ids of pictures or pairs, or the places where they stand; `awaited` takes out too what a list names and what never came."""

    ids: list[str] = []
    places: Runs = []
    awaited: bool = False


class Several(BaseModel):
    """Pairs, by their ids or by the places where they stand; all where neither is given."""

    ids: list[str] | None = None
    places: Runs | None = None


class Said(Several):
    """One instruction for several pairs, or for all."""

    text: Annotated[str, StringConstraints(max_length=2000)]


class Undo(BaseModel):
    """What `remove` answered."""

    token: Annotated[str, StringConstraints(max_length=200)]


def router(context: Context) -> APIRouter:
    """`/api/datasets...`."""
    routes = APIRouter()
    _add_dataset_routes(routes, context)
    _add_picture_routes(routes, context)
    _add_pair_routes(routes, context)
    return routes


def _add_dataset_routes(routes: APIRouter, context: Context) -> None:  # noqa: C901 - a list of routes
    store, marks = context.datasets, MarksKeeper(context.datasets)

    @routes.post("/api/datasets")
    def create(body: Begun) -> JSONResponse:
        made = store.create(body.name, body.kind or detect_kind(body.files, body.listed))
        return _answer(asdict(store.update(made.id, trigger_word="" if made.kind == "pairs" else suggest_trigger_word(body.name))))

    @routes.get("/api/datasets/{dataset_id}")
    def show(dataset_id: str) -> JSONResponse:
        return _answer(describe_dataset(store, dataset_id))

    @routes.get("/api/datasets/{dataset_id}/rows")
    def rows(dataset_id: str, places: Places) -> JSONResponse:
        """The rows at `places` (see `read_runs`), at most `SEEN_ROWS` of them."""
        found = store.index(store.info(safe_id(dataset_id, "data set")).id).at(_seen(places))
        return _answer({"pictures": [describe_picture(row) for row in found]})

    @routes.get("/api/datasets/{dataset_id}/places")
    def places(dataset_id: str, shape: str = "", kind: str = "") -> JSONResponse:
        """Where the pictures of one shape stand, or the rows of one of `KINDS`; of the kind `look` those with a mark."""
        index = store.index(store.info(safe_id(dataset_id, "data set")).id)
        if kind == "look":
            return _answer({"places": to_runs(marks.read(dataset_id).places)})
        if kind and kind not in KINDS:
            raise DarkroomError(f"There is no kind “{kind[:40]}”. There is: {', '.join((*KINDS, 'look'))}.", field="kind")
        return _answer({"places": to_runs(index.places(KINDS[kind]) if kind else find_shape(index, shape))})

    @routes.get("/api/datasets/{dataset_id}/kinds")
    def kinds(dataset_id: str) -> JSONResponse:
        return _answer(describe_kinds(store, store.info(safe_id(dataset_id, "data set"))))

    @routes.get("/api/datasets/{dataset_id}/pictures/{picture_id}/place")
    def place_of(dataset_id: str, picture_id: str) -> JSONResponse:
        """Where one picture stands."""
        return _answer({"place": store.picture(safe_id(dataset_id, "data set"), safe_id(picture_id, "picture")).place})

    @routes.get("/api/datasets/{dataset_id}/marks")
    def show_marks(dataset_id: str, places: Places = "") -> JSONResponse:
        """The marks of the rows at `places`, and how many rows have some; not `ready` where they are still worked out."""
        known = marks.read(store.info(safe_id(dataset_id, "data set")).id)
        return _answer(known.describe(_seen(places)))

    @routes.post("/api/datasets/{dataset_id}/kind")
    def decide(dataset_id: str, body: Kind) -> JSONResponse:
        store.set_kind(safe_id(dataset_id, "data set"), body.kind)
        return _answer(describe_dataset(store, dataset_id))

    @routes.patch("/api/datasets/{dataset_id}")
    def rename(dataset_id: str, body: Named) -> JSONResponse:
        return _answer(asdict(store.update(safe_id(dataset_id, "data set"), name=body.name)))


def _add_picture_routes(routes: APIRouter, context: Context) -> None:
    store = context.datasets

    @routes.post("/api/datasets/{dataset_id}/files")
    async def upload(dataset_id: str, request: Request, pair: str = "", side: Side = "after") -> JSONResponse:
        info = await run_in_threadpool(store.info, safe_id(dataset_id, "data set"))
        if info.kind == "pictures" and info.num_pictures >= MAX_PICTURES:
            raise DarkroomError(f"“{info.name}” has {info.num_pictures:,} pictures; {MAX_PICTURES:,} are the most. Begin another data set.")
        place = (safe_id(pair, "pair"), side) if pair else None
        with upload_folder(context.workspace.temporary) as folder:
            files = await receive_files(request, folder)
            return _answer(await run_in_threadpool(take_files, context, dataset_id, files, place))

    @routes.post("/api/datasets/{dataset_id}/remove")
    def remove(dataset_id: str, body: Chosen) -> JSONResponse:
        safe_id(dataset_id, "data set")
        ids = [safe_id(i, "picture") for i in body.ids] + ids_at(store, dataset_id, body.places)
        if not ids and not body.awaited:
            raise DarkroomError("Choose at least one picture to remove.")
        token = store.remove(dataset_id, ids) if ids else ""
        awaited = pairs.forget_awaited(store, dataset_id) if body.awaited else 0
        return _answer({"token": token, "awaited": awaited})

    @routes.get("/api/datasets/{dataset_id}/steps")
    def steps(dataset_id: str) -> JSONResponse:
        """What can be undone, the newest first; also what was done before the page was opened."""
        return _answer({"steps": [asdict(step) for step in list_steps(store, dataset_id)]})

    @routes.post("/api/datasets/{dataset_id}/undo")
    def undo(dataset_id: str, body: Undo) -> JSONResponse:
        captions.undo(store, safe_id(dataset_id, "data set"), body.token)
        return _answer(describe_dataset(store, dataset_id))


def _add_pair_routes(routes: APIRouter, context: Context) -> None:
    store = context.datasets

    @routes.post("/api/datasets/{dataset_id}/swap")
    def swap(dataset_id: str, body: Several) -> JSONResponse:
        token = pairs.swap_sides(store, dataset_id, several(store, safe_id(dataset_id, "data set"), body))
        return _answer({"token": token, **describe_dataset(store, dataset_id)})

    @routes.post("/api/datasets/{dataset_id}/match")
    def match(dataset_id: str) -> JSONResponse:
        count, token = pairs.match_halves(store, safe_id(dataset_id, "data set"))
        return _answer({"token": token, "count": count, **describe_dataset(store, dataset_id)})

    @routes.post("/api/datasets/{dataset_id}/say")
    def say(dataset_id: str, body: Said) -> JSONResponse:
        """The same instruction for several pairs at once."""
        token = pairs.say_alike(store, dataset_id, body.text, several(store, safe_id(dataset_id, "data set"), body))
        return _answer({"token": token, **describe_dataset(store, dataset_id)})


def detect_kind(names: list[str], listed: str) -> str:
    """The kind that these files plainly are; nothing where only their inside can tell, such as that of a ZIP."""
    if any(name.lower().endswith((*ARCHIVES, *TABLES)) for name in names):
        return ""
    first = listed.split("\n", 1)[0]
    if looks_like_pairs(names) or find_columns(re.findall(r"\w+", first)):
        return "pairs"
    if any(PurePosixPath(name).name.lower() not in STANDARD and name.lower().endswith(LISTS) for name in names):
        return ""  # what a list names its rows tell, when it has come
    return "pictures" if names else ""


def describe_dataset(store: DatasetStore, dataset_id: str) -> dict[str, Any]:
    """The data set: where its rows stand, and the first of them; the page asks for the others when they are looked at."""
    info = store.info(safe_id(dataset_id, "data set"))
    index = store.index(info.id)
    # who was chosen to judge stays so while it is excluded
    marked = {"excluded": to_runs(index.places(KINDS["excluded"])), "judges": to_runs(index.places("judges AND missing = ''"))}
    table = {"places": to_runs(index.places()), **marked, **describe_kinds(store, info)}
    if info.kind == "pictures":
        table["shapes"], table["width"] = count_shapes(index)
        table["unseen"] = to_runs(find_auto(index))
    return {**asdict(info), **table, "pictures": [describe_picture(row) for row in index.rows(limit=SEEN_ROWS)]}


def describe_kinds(store: DatasetStore, info: DatasetInfo) -> dict[str, Any]:
    """How many rows are of each kind; of pairs also what most instructions say where a few say it otherwise."""
    index = store.index(info.id)
    common = find_common_words(index, info.num_pictures) if info.kind == "pairs" else None
    return {"kinds": count_kinds(index), "common": common}


def several(store: DatasetStore, dataset_id: str, body: Several) -> list[str] | None:
    """The ids of the pairs that are asked for; None means all."""
    if body.ids is None and body.places is None:
        return None
    return [safe_id(i, "pair") for i in body.ids or []] + ids_at(store, dataset_id, body.places or [])


def ids_at(store: DatasetStore, dataset_id: str, runs: list[list[int]]) -> list[str]:
    """The ids of the rows at these places; those that are gone are left out."""
    store.workspace.dataset(dataset_id)
    return store.index(dataset_id).ids(from_runs(runs))


def describe_picture(picture: Picture) -> dict[str, Any]:
    """What the light table shows of one picture, or of one pair with its sides."""
    size = {"width": picture.width, "height": picture.height, "bytes": picture.bytes}
    known = {"id": picture.id, "img": picture.face, "place": picture.place, "name": picture.name, **size, "text": picture.text}
    known |= {"excluded": True} if picture.excluded else {}
    known |= {"judges": True} if picture.judges else {}
    known |= {"masked": "auto" if is_auto(picture.mask) else "hand", "mask": Path(picture.mask).stem} if picture.mask else {}
    known |= {"edited": True} if any(image.edit for image in picture.images) else {}
    if picture.before is None or picture.after is None:
        return known
    sides = {side: describe_side(image) for side, image in (("before", picture.before), ("after", picture.after))}
    return {**known, "by": picture.text_by, "version": picture.version, "missing": picture.missing, **sides}


def describe_side(image: ImageFile) -> dict[str, Any]:
    """One side of a pair: its picture's id (empty while it is awaited) and its name."""
    return {"id": image.id if image.file else "", "name": image.name}


def take_files(context: Context, dataset_id: str, files: list[Received], place: tuple[str, Side] | None = None) -> dict[str, Any]:
    """Brings received files into the data set, or the one file onto a side of a pair; one outcome for each."""
    store = context.datasets
    long = [file for file in files if not file.fault and not place and (needs_job(file.name, file.size) or may_ask(file.name, file.path))]
    good = [(file.name, file.path) for file in files if not file.fault and file not in long]
    found = [ingest.Outcome(file.name, False, None, file.fault) for file in files if file.fault]
    if place and good:
        name, path = good[0]
        found.append(ingest_side(store, dataset_id, *place, Found(name, path)))
        found += [ingest.Outcome(name, False, None, "Only one picture fits there.") for name, _ in good[1:]]
    elif good:
        found += ingest.ingest_files(store, dataset_id, good)
    index = store.index(dataset_id)
    shown = [index.get(outcome.picture_id) if outcome.picture_id else None for outcome in found]
    told = [
        {"name": o.name, "accepted": o.accepted, "picture": describe_picture(row) if row else None, "reason": o.reason}
        for o, row in zip(found, shown, strict=True)
    ]
    job = begin_import(context, dataset_id, long).describe() if long else None
    return {"outcomes": told, "kind": store.info(dataset_id).kind, "job": job}


def begin_import(context: Context, dataset_id: str, files: list[Received]) -> Job:
    """Takes archives and tables in beside the page: their files leave the upload's folder for one of the job's own."""
    folder = context.work.own_folder()
    named = []
    for number, file in enumerate(files):
        ending = next((e for e in (*ARCHIVES, *TABLES, *LISTS) if file.name.lower().endswith(e)), "")
        named.append((file.name, file.path.rename(folder / f"{number:04d}{ending}")))
    title = f"Import {named[0][0]}" if len(named) == 1 else f"Import {len(named)} files"
    work = partial(import_files, context.datasets, named=named)
    return context.work.start("import", title, work, dataset=dataset_id, folder=folder)


def _seen(places: str) -> list[int]:
    return list(islice(from_runs(read_runs(places)), SEEN_ROWS))


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
