"""The Hugging Face hub as the pages ask for it: a data set that comes, one that goes. The token never passes through here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from studio.datasets.data_jobs import Job
from studio.datasets.hub.fetching import Plan, fetch_dataset, plan_fetch
from studio.datasets.hub.pushing import push_dataset
from studio.datasets.hub.refusals import require_token
from studio.datasets.hub.sources import Source, name_of, parse_source
from studio.datasets.import_job import ColumnsOf, describe_end
from studio.web.context import Context
from studio.workspace import safe_id

Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class FetchAsked(BaseModel):
    """What is fetched, and the data set that gets it; without one a new one does."""

    repo: Word
    revision: Word = ""
    split: Word = ""
    dataset: Word = ""


class PushAsked(BaseModel):
    """Where a data set goes, and whether others may see it or tables that are there give way."""

    repo: Word
    private: bool = True
    replace: bool = False


def router(context: Context) -> APIRouter:
    """`/api/hub...`."""
    routes, store = APIRouter(), context.datasets

    @routes.post("/api/hub/fetch")
    def fetch(body: FetchAsked) -> JSONResponse:
        named = parse_source(body.repo)
        plan = plan_fetch(Source(named.repo, body.revision or named.revision, body.split or named.split))
        dataset_id = store.info(safe_id(body.dataset, "data set")).id if body.dataset else store.create(name_of(named), "").id

        def work(job: Job) -> str:
            return _fetch(context, job, plan)

        return _answer(context.work.start("fetch", f"Fetch “{named.repo}” from the hub", work, dataset=dataset_id).describe())

    @routes.post("/api/hub/push/{dataset_id}")
    def push(dataset_id: str, body: PushAsked) -> JSONResponse:
        info, repo = store.info(safe_id(dataset_id, "data set")), parse_source(body.repo).repo
        require_token(repo)

        def work(job: Job) -> str:
            pushed = push_dataset(store, info.id, repo, private=body.private, replace=body.replace, watch=job.watch)
            return f"{pushed.rows:,} rows are at {pushed.address}"

        return _answer(context.work.start("push", f"Push “{info.name}” to the hub", work, dataset=info.id).describe())

    return routes


def _fetch(context: Context, job: Job, plan: Plan) -> str:
    columns = ColumnsOf(job)
    for outcome in fetch_dataset(context.datasets, job.dataset, plan, choose=columns.choose, watch=job.watch):
        job.took([outcome])
    return describe_end(context.datasets, job)


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
