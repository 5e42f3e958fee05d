"""What the Check page asks: the report, a fresh check, and the one action of each finding with its way back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from backends.contract.base_models import find_base_model
from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.checks import check_dataset
from studio.datasets.report import ignore_finding, is_current, read_report
from studio.datasets.rows import Picture
from studio.datasets.split import count_held_out
from studio.datasets.store import DatasetStore
from studio.web.choices import choose_base_model
from studio.web.context import Context

_NO_STORE = {"Cache-Control": "no-store"}
HELD_OUT_SHARE = 0.1
log = logging.getLogger(__name__)


class Act(BaseModel):
    """What a person wants done about pictures that a finding names."""

    kind: Literal["remove", "add_trigger"]
    pictures: list[str] = Field(min_length=1, max_length=20_000)


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
        return JSONResponse({**describe_check(context, dataset_id, checks.status(dataset_id)), **more}, headers=_NO_STORE)

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

    @api.get("/{dataset_id}/dataset_report.json")
    def download(dataset_id: str, inline: Annotated[bool, Query()] = False) -> FileResponse:
        path = context.workspace.dataset(dataset_id) / "dataset_report.json"
        if not path.is_file():
            raise DarkroomError("There is no report yet. Check the data set first.")
        kind = "inline" if inline else "attachment"
        name = f"{dataset_id}_dataset_report.json"
        return FileResponse(path, media_type="application/json", filename=name, content_disposition_type=kind, headers=_NO_STORE)


def apply_action(datasets: DatasetStore, dataset_id: str, wanted: Act) -> str:
    """Does what a finding's button says; the token undoes it."""
    if wanted.kind == "remove":
        return datasets.remove(dataset_id, wanted.pictures)
    info = datasets.info(dataset_id)
    place: Any = info.trigger_place if info.trigger_place != "remove" else "subject"
    return captions.set_trigger_word(datasets, dataset_id, info.trigger_word, place, wanted.pictures)


def describe_check(context: Context, dataset_id: str, progress: Progress) -> dict[str, Any]:
    """The report as the page shows it, whether it is out of date, and a check that runs."""
    info = context.datasets.info(dataset_id)
    report = read_report(context.datasets, dataset_id)
    pictures = context.datasets.pictures(dataset_id)
    base = choose_base_model(context, dataset_id)
    known = find_base_model(base)
    held_out = count_held_out(info.num_pictures, HELD_OUT_SHARE)
    return {
        "dataset": {"id": info.id, "name": info.name, "kind": info.kind, "pictures": info.num_pictures, "trigger_word": info.trigger_word},
        "report": report.to_json() if report else None,
        "current": bool(report) and is_current(context.datasets, dataset_id, report) and report.base_model == base if report else False,
        "base": known.name if known else base,
        "pictures": [_describe_row(p) for p in pictures],
        "split": {"training": info.num_pictures - held_out, "held_out": held_out},
        "check": {"running": progress.running, "done": progress.done, "total": progress.total, "error": progress.error},
    }


def _describe_row(row: Picture) -> dict[str, Any]:
    shown = {"id": row.id, "name": row.name, "width": row.width, "height": row.height, "captioned": bool(row.text), "img": row.face}
    before = row.before.id if row.before and row.before.file else ""
    return shown if row.before is None else shown | {"before": before, "missing": row.missing}
