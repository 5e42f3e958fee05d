"""The Hugging Face hub as the pages ask for it: a data set that comes, one that goes. The token never passes through here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from backends.contract.errors import DarkroomError
from studio.datasets.data_jobs import Job
from studio.datasets.hub.fetching import Plan, fetch_dataset, plan_fetch, without
from studio.datasets.hub.pushing import push_dataset
from studio.datasets.hub.refusals import require_token
from studio.datasets.hub.sources import Source, name_of, parse_source
from studio.datasets.import_job import ColumnsOf, describe_end
from studio.web.context import Context
from studio.workspace import safe_id

Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class FetchAsked(BaseModel):
    """What is fetched, and the data set that gets it; without one a new one does.

    `taken` are files that came before, at this `commit`: they do not come again.
    """

    repo: Word
    revision: Word = ""
    split: Word = ""
    dataset: Word = ""
    taken: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=100_000)] = []
    commit: Word = ""


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
        plan = without(plan_fetch(Source(named.repo, body.revision or named.revision, body.split or named.split)), body.taken, body.commit)
        dataset_id = store.info(safe_id(body.dataset, "data set")).id if body.dataset else store.create(name_of(named), "").id

        def work(job: Job) -> str:
            try:
                return _fetch(context, job, plan, before=body.taken)
            finally:
                if not body.dataset:
                    _forget_empty(context, job)

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


def _fetch(context: Context, job: Job, plan: Plan, *, before: list[str]) -> str:
    """Of a fetch that breaks off a data set stays only where something came into it; then it can go on."""
    columns, dataset = ColumnsOf(job), job.dataset
    try:
        for outcome in fetch_dataset(context.datasets, dataset, plan, choose=columns.choose, watch=job.watch):
            job.took([outcome])
        told = describe_end(context.datasets, job)
    except DarkroomError as error:
        info = context.datasets.info(dataset)
        if not info.num_pictures:
            raise DarkroomError(f"{error.text} Nothing came in, so nothing was kept.") from error
        job.again = _go_on(job, plan, before)
        there = f"{info.num_pictures:,} {'pairs' if info.kind == 'pairs' else 'pictures'}"
        raise DarkroomError(f"{error.text} “{info.name}” has {there}, which stay; Go on fetches what is missing.") from error
    if job.watch.stopped:
        if not context.datasets.info(dataset).num_pictures:
            return "It was stopped before anything came in. Nothing of it was kept."
        job.again = _go_on(job, plan, before)
    return told


def _forget_empty(context: Context, job: Job) -> None:
    """Nothing in it, and nothing that will come: nobody needs it."""
    info = context.datasets.info(job.dataset)
    if not info.num_pictures and not info.num_awaited:
        context.datasets.delete(info.id)
        job.dataset = ""


def _go_on(job: Job, plan: Plan, before: list[str]) -> dict[str, Any]:
    source = {"repo": plan.source.repo, "revision": plan.source.revision, "split": plan.source.split}
    return {**source, "dataset": job.dataset, "taken": [*before, *plan.taken], "commit": plan.files[0].commit}


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
