"""What the pages ask to arrange data sets: merge, copy, split; the trash, with what is in it, the way back and the way out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from backends.contract.errors import DarkroomError
from studio.datasets import trash
from studio.datasets.data_jobs import Job
from studio.datasets.dividing import Cut, split_dataset
from studio.datasets.merging import Merged, copy_dataset, merge_datasets
from studio.datasets.store import DatasetInfo
from studio.runs.users import refuse_in_use
from studio.web.context import Context
from studio.workspace import safe_id

Id = Annotated[str, StringConstraints(max_length=64)]
MaybeName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)]


class MergeAsked(BaseModel):
    """Data sets to bring together: into a new one called `name`, or into the one whose id `into` is."""

    sources: Annotated[list[Id], Field(min_length=1, max_length=100)]
    name: MaybeName = ""
    into: Id = ""


class CopyAsked(BaseModel):
    """The copy's name; empty for the first one's with (copy)."""

    name: MaybeName = ""


class SplitAsked(BaseModel):
    """A share in per cent, or what is said of the rows that go (see `Cut`)."""

    percent: Annotated[float, Field(gt=0, lt=100)] | None = None
    text: Annotated[str, StringConstraints(max_length=200)] = ""
    silent: bool = False
    smaller_px: Annotated[int, Field(ge=0, le=100_000)] = 0
    names: tuple[MaybeName, MaybeName] = ("", "")


def router(context: Context) -> APIRouter:
    """`/api/arrange...`, `/api/trash...`, and putting a data set away."""
    routes = APIRouter()
    _add_arranging(routes, context)
    _add_trash(routes, context)
    return routes


def _add_arranging(routes: APIRouter, context: Context) -> None:
    store, jobs = context.datasets, context.work

    @routes.get("/api/arrange")
    def show() -> JSONResponse:
        return _answer([describe_dataset(info) for info in store.list() if not info.problem])

    @routes.post("/api/arrange/merge")
    def merge(body: MergeAsked) -> JSONResponse:
        sources = [safe_id(one, "data set") for one in body.sources]
        names = [store.info(one).name for one in sources]
        into = store.info(safe_id(body.into, "data set")) if body.into else None

        def work(job: Job) -> str:
            return _take(job, merge_datasets(store, sources, name=body.name, into=body.into, watch=job.watch))

        title = f"Merge into “{into.name}”" if into else "Merge " + ", ".join(f"“{name}”" for name in names)
        return _answer(jobs.start("merge", title, work, dataset=body.into).describe())

    @routes.post("/api/arrange/{dataset_id}/copy")
    def copy(dataset_id: str, body: CopyAsked) -> JSONResponse:
        info = store.info(safe_id(dataset_id, "data set"))

        def work(job: Job) -> str:
            return _take(job, copy_dataset(store, info.id, name=body.name, watch=job.watch))

        return _answer(jobs.start("copy", f"Copy “{info.name}”", work).describe())

    @routes.post("/api/arrange/{dataset_id}/split")
    def split(dataset_id: str, body: SplitAsked) -> JSONResponse:
        info = store.info(safe_id(dataset_id, "data set"))
        share = None if body.percent is None else body.percent / 100
        cut = Cut(share, body.text, body.silent, body.smaller_px)

        def work(job: Job) -> str:
            divided = split_dataset(store, info.id, cut, names=body.names, watch=job.watch)
            job.dataset = divided.taken.id
            return divided.sentence()

        return _answer(jobs.start("split", f"Split “{info.name}”", work).describe())


def describe_dataset(info: DatasetInfo) -> dict[str, Any]:
    """What the dialogues that arrange data sets know of one."""
    return {"id": info.id, "name": info.name, "kind": info.kind, "rows": info.num_pictures}


def _take(job: Job, merged: Merged) -> str:
    job.dataset = merged.info.id
    return merged.sentence()


def _add_trash(routes: APIRouter, context: Context) -> None:
    store = context.datasets

    @routes.delete("/api/datasets/{dataset_id}")
    def put_away(dataset_id: str) -> JSONResponse:
        info = store.info(safe_id(dataset_id, "data set"))
        refuse_in_use(context.runs, context.jobs, info.id)
        if context.work.is_busy(info.id):
            raise DarkroomError(f"Files are coming into “{info.name}”. Stop that first, then delete the data set.")
        return _answer(_describe(trash.trash_dataset(store, info.id)))

    @routes.get("/api/trash")
    def show() -> JSONResponse:
        return _answer([_describe(one) for one in trash.list_trash(store)])

    @routes.post("/api/trash/{dataset_id}/restore")
    def restore(dataset_id: str) -> JSONResponse:
        return _answer(asdict(trash.restore_dataset(store, safe_id(dataset_id, "data set"))))

    @routes.delete("/api/trash/{dataset_id}")
    def delete(dataset_id: str) -> JSONResponse:
        return _answer(_describe(trash.delete_for_good(store, safe_id(dataset_id, "data set"))))


def _describe(one: trash.Trashed) -> dict[str, Any]:
    return {**asdict(one), "size": trash.describe_size(one)}


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
