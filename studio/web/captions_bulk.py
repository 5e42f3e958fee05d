"""What the Captions page asks of many captions at once: replace, tags, the trigger word, drafts confirmed; and undo, also later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.config import parse_config
from backends.contract.methods.text_to_image import TextToImageConfig
from studio.datasets import captions
from studio.datasets.history import Cause
from studio.datasets.places import Runs, from_runs, to_runs
from studio.datasets.remembered import Remembered
from studio.datasets.search import Wanted, find_places
from studio.datasets.store import DatasetStore
from studio.datasets.table import PART
from studio.datasets.tags import Tagging, preview_tags, retag
from studio.datasets.trigger import Place
from studio.web.context import Context

MOST_SHOWN = 60  # changes that a preview shows; it counts them all
_NO_STORE = {"Cache-Control": "no-store"}


class Replacement(BaseModel):
    """What is looked for in the captions, and what comes in its place; `among` are the only places that are changed."""

    find: str = Field(max_length=500)
    replace: str = Field("", max_length=500)
    regex: bool = False
    match_case: bool = False
    among: Runs | None = None


class TagRequest(Tagging):
    """What is done to tags; `among` are the only places that are changed."""

    among: Runs | None = None


class WordRequest(BaseModel):
    """The trigger word of the data set, and where it stands in the captions."""

    word: str = Field("", max_length=200)
    place: Place = "subject"
    among: Runs | None = None
    preview: bool = False


class Confirmed(BaseModel):
    """Drafts that a person has read and found right; none means all."""

    among: Runs | None = None


class Undo(BaseModel):
    """The token that a change of many captions gave."""

    token: str = Field(max_length=200)


def answer(value: Any, status: int = 200) -> JSONResponse:
    """An answer that nobody keeps."""
    return JSONResponse(value, status, headers=_NO_STORE)


def add_routes(api: APIRouter, context: Context) -> None:
    """The routes that change many captions."""
    _add_replace_routes(api, context)
    _add_tag_routes(api, context)
    _add_word_routes(api, context)
    _add_undo_routes(api, context)


def _add_replace_routes(api: APIRouter, context: Context) -> None:
    store = context.datasets

    @api.post("/{dataset_id}/replace/preview")
    def preview(dataset_id: str, wanted: Replacement) -> JSONResponse:
        """How many captions would change, where they stand, and the first of them before and after."""
        found = captions.preview_replace(store, dataset_id, wanted.find, wanted.replace, **options(wanted))
        return answer(describe_changes(store, dataset_id, found))

    @api.post("/{dataset_id}/replace")
    def replace(dataset_id: str, wanted: Replacement) -> JSONResponse:
        return answer({"token": captions.replace(store, dataset_id, wanted.find, wanted.replace, **options(wanted))})


def _add_tag_routes(api: APIRouter, context: Context) -> None:
    store = context.datasets

    @api.post("/{dataset_id}/tags/preview")
    def preview(dataset_id: str, wanted: TagRequest) -> JSONResponse:
        return answer(describe_changes(store, dataset_id, preview_tags(store, dataset_id, wanted, named(wanted.among))))

    @api.post("/{dataset_id}/tags")
    def change(dataset_id: str, wanted: TagRequest) -> JSONResponse:
        return answer({"token": retag(store, dataset_id, wanted, named(wanted.among))})


def _add_word_routes(api: APIRouter, context: Context) -> None:
    store, misplaced = context.datasets, Remembered[list[int]]()

    @api.put("/{dataset_id}/word")
    def name_word(dataset_id: str, wanted: WordRequest) -> JSONResponse:
        """Notes the word; says which captions do not have it where it belongs. No caption is changed."""
        word = check_word(wanted.word)
        info = store.info(dataset_id)
        if (word, wanted.place) != (info.trigger_word, info.trigger_place) and not wanted.preview:
            info = store.update(dataset_id, trigger_word=word, trigger_place=wanted.place)
        index, asked = store.index(dataset_id), Wanted(misplaced=(word, wanted.place))
        unlike = misplaced.get(index, (word, wanted.place), lambda: find_places(index, asked)) if word else []
        return answer({"trigger_word": info.trigger_word, "unlike": to_runs(unlike), "count": len(unlike)})

    @api.post("/{dataset_id}/word")
    def place_word(dataset_id: str, wanted: WordRequest) -> JSONResponse:
        word = check_word(wanted.word)
        return answer({"token": captions.set_trigger_word(store, dataset_id, word, wanted.place, among=named(wanted.among))})


def _add_undo_routes(api: APIRouter, context: Context) -> None:
    store = context.datasets

    @api.post("/{dataset_id}/confirm")
    def confirm(dataset_id: str, wanted: Confirmed) -> JSONResponse:
        index = store.index(dataset_id)
        places = find_places(index, Wanted(by="draft", state="written", among=wanted.among))
        parts = (index.at(places[start : start + PART]) for start in range(0, len(places), PART))
        drafts = {row.id: row.text for part in parts for row in part}
        token = captions.change_captions(store, dataset_id, drafts, by="person", cause=Cause("confirm", many=True, detail="drafts read"))
        return answer({"token": token, "count": len(drafts)})

    @api.get("/{dataset_id}/acts")
    def list_acts(dataset_id: str) -> JSONResponse:
        """The changes of many that can be undone, and those that were, the newest first."""
        return answer({"acts": [{**asdict(act), "token": act.token} for act in captions.list_changes(store, dataset_id)]})

    @api.post("/{dataset_id}/undo")
    def undo(dataset_id: str, wanted: Undo) -> JSONResponse:
        return answer({"undone": True, "count": captions.undo(store, dataset_id, wanted.token)})


def named(among: list[list[int]] | None) -> set[int] | None:
    """The places that are named; None means all."""
    return None if among is None else set(from_runs(among))


def options(wanted: Replacement) -> dict[str, Any]:
    """How it is looked for, as `preview_replace` takes it."""
    return {"regex": wanted.regex, "match_case": wanted.match_case, "among": named(wanted.among)}


def describe_changes(store: DatasetStore, dataset_id: str, found: Iterable[captions.Change]) -> dict[str, Any]:
    """How many captions would change, where they stand, and the first of them with their picture."""
    shown: list[captions.Change] = []
    places = []
    for change in found:
        places.append(change.place)
        if len(shown) < MOST_SHOWN:
            shown.append(change)
    rows = {row.place: row for row in store.index(dataset_id).at([change.place for change in shown])}
    told = [{"place": c.place, "before": c.before, "after": c.after, "id": rows[c.place].id, "face": rows[c.place].face} for c in shown]
    return {"changes": told, "count": len(places), "places": to_runs(places)}


def check_word(word: str) -> str:
    """The trigger word without the space around it.

    Raises:
        DarkroomError: When it is not one plain word; the rule is the training's own.
    """
    parse_config(TextToImageConfig, {"trigger_word": word})
    return word.strip()
