"""What the Check page asks: the report, a fresh check, and the one action of each finding with its way back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.checks import check_dataset
from studio.datasets.judges import mark_judges
from studio.datasets.report import ignore_finding, is_current, read_report
from studio.datasets.report_page import render_report
from studio.datasets.store import DatasetStore
from studio.web.check_view import describe_check, describe_dataset_map, describe_part, find_finding
from studio.web.choices import choose_base_model
from studio.web.context import Context
from studio.workspace import safe_id

_NO_STORE = {"Cache-Control": "no-store"}
# A page that is sent on as a file: nothing in it may run, and nothing be fetched.
PAPER = {"Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"}
log = logging.getLogger(__name__)


class Act(BaseModel):
    """What a person wants done about the pictures of these findings: what each one's own button says."""

    kind: Literal["remove", "add_trigger", "teach"]
    keys: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=100)]


class Ignore(BaseModel):
    """A finding that the person does not mind, or minds again."""

    key: str = Field(max_length=200)
    ignored: bool = True


class Undo(BaseModel):
    """The token that an action gave."""

    token: str = Field(max_length=200)


@dataclass
class Progress:
    """A check on its way."""

    done: int = 0
    total: int = 0
    error: str = ""
    running: bool = False


class Checks:
    """Runs one check a data set at a time, beside the requests."""

    def __init__(self, check: Callable[[str, Callable[[int, int], None]], object]) -> None:
        self._check, self._lock = check, threading.Lock()
        self._known: dict[str, Progress] = {}

    def start(self, dataset_id: str) -> Progress:
        """Begins a check, or joins the one that runs."""
        with self._lock:
            known = self._known.get(dataset_id)
            if known and known.running:
                return known
            progress = self._known[dataset_id] = Progress(running=True)
        threading.Thread(target=self._run, args=(dataset_id, progress), name=f"check-{dataset_id}", daemon=True).start()
        return progress

    def status(self, dataset_id: str) -> Progress:
        """Where the last check of this data set stands."""
        return self._known.get(dataset_id, Progress())

    def _run(self, dataset_id: str, progress: Progress) -> None:
        def tell(done: int, total: int) -> None:
            progress.done, progress.total = done, total

        try:
            self._check(dataset_id, tell)
        except DarkroomError as error:
            progress.error = error.text
        except Exception:  # noqa: BLE001 - the edge of a thread: without this the page would wait for ever
            log.exception("the check of %s failed", dataset_id)
            progress.error = "The check ended with a fault of Darkroom’s own; the details are in the log. Nothing was changed."
        finally:
            progress.running = False


def router(context: Context) -> APIRouter:
    """The Check page's routes."""
    api = APIRouter(prefix="/api/check")

    def check(dataset_id: str, progress: Callable[[int, int], None]) -> None:
        check_dataset(context.datasets, dataset_id, base_model=choose_base_model(context, dataset_id), progress=progress)

    checks = Checks(check)

    def answer(dataset_id: str, **more: Any) -> JSONResponse:
        now = checks.status(dataset_id)
        running = {"running": now.running, "done": now.done, "total": now.total, "error": now.error}
        return JSONResponse({**describe_check(context, dataset_id), "check": running, **more}, headers=_NO_STORE)

    @api.get("/{dataset_id}")
    def report(dataset_id: str) -> JSONResponse:
        return answer(dataset_id)

    @api.post("/{dataset_id}")
    def again(dataset_id: str) -> JSONResponse:
        context.datasets.info(dataset_id)
        checks.start(dataset_id)
        return answer(dataset_id)

    @api.get("/{dataset_id}/status")
    def status(dataset_id: str) -> JSONResponse:
        now = checks.status(dataset_id)
        return JSONResponse({"running": now.running, "done": now.done, "total": now.total, "error": now.error}, headers=_NO_STORE)

    @api.get("/{dataset_id}/part/{key}")
    def part(dataset_id: str, key: str, offset: Annotated[int, Query(ge=0)] = 0) -> JSONResponse:
        return JSONResponse(describe_part(context, safe_id(dataset_id, "data set"), key, offset), headers=_NO_STORE)

    @api.get("/{dataset_id}/map")
    def shown_map(dataset_id: str) -> JSONResponse:
        return JSONResponse(describe_dataset_map(context, safe_id(dataset_id, "data set")), headers=_NO_STORE)

    _add_actions(api, context)
    return api


def _add_actions(api: APIRouter, context: Context) -> None:
    @api.post("/{dataset_id}/act")
    def act(dataset_id: str, wanted: Act) -> JSONResponse:
        return JSONResponse({"token": apply_action(context.datasets, dataset_id, wanted)})

    @api.post("/{dataset_id}/ignore")
    def ignore(dataset_id: str, wanted: Ignore) -> JSONResponse:
        ignore_finding(context.datasets, dataset_id, wanted.key, ignored=wanted.ignored)
        return JSONResponse({"ignored": wanted.ignored})

    @api.post("/{dataset_id}/undo")
    def undo(dataset_id: str, wanted: Undo) -> JSONResponse:
        return JSONResponse({"back": captions.undo(context.datasets, dataset_id, wanted.token)})

    @api.get("/{dataset_id}/dataset_report.html")
    def page(dataset_id: str) -> HTMLResponse:
        report = read_report(context.datasets, safe_id(dataset_id, "data set"))
        if report is None:
            raise DarkroomError("There is no report yet. Check the data set first.")
        current = is_current(context.datasets, dataset_id, report)
        note = "" if current else "The data set has changed since; check it again for what there is now."
        return HTMLResponse(render_report(context.datasets, dataset_id, report, note), headers={**_NO_STORE, **PAPER})

    @api.get("/{dataset_id}/dataset_report.json")
    def download(dataset_id: str, inline: Annotated[bool, Query()] = False) -> FileResponse:
        path = context.workspace.dataset(dataset_id) / "dataset_report.json"
        if not path.is_file():
            raise DarkroomError("There is no report yet. Check the data set first.")
        kind = "inline" if inline else "attachment"
        name = f"{dataset_id}_dataset_report.json"
        return FileResponse(path, media_type="application/json", filename=name, content_disposition_type=kind, headers=_NO_STORE)


def apply_action(datasets: DatasetStore, dataset_id: str, wanted: Act) -> str:
    """Does what the findings' buttons say with the pictures that are still there; the token undoes it."""
    report = read_report(datasets, dataset_id)
    if report is None:
        raise DarkroomError("There is no report yet. Check the data set first.")
    findings = [find_finding(report, key) for key in wanted.keys]
    if any(f.action.kind != wanted.kind for f in findings):
        raise DarkroomError("This finding asks for something else. Check again to see what there is now.")
    ids = list(dict.fromkeys(i for f in findings for i in f.action.picture_ids))
    there = datasets.index(dataset_id).numbered(ids)
    ids = [i for i in ids if i in there]
    if not ids:
        raise DarkroomError("None of these pictures is there any more. Check again to see what there is now.")
    if wanted.kind == "remove":
        return datasets.remove(dataset_id, ids)
    if wanted.kind == "teach":
        return mark_judges(datasets, dataset_id, ids, judges=False)
    info = datasets.info(dataset_id)
    place: Any = info.trigger_place if info.trigger_place != "remove" else "subject"
    return captions.set_trigger_word(datasets, dataset_id, info.trigger_word, place, ids)
