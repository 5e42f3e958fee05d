"""What the Captions page asks: the captions, one saved caption, the captioning job, and changes of many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.config import parse_config
from backends.contract.methods.text_to_image import TextToImageConfig
from studio.datasets import captions
from studio.datasets.rows import Picture
from studio.datasets.tokens import Counter, load_counter
from studio.datasets.trigger import Place
from studio.web.choices import choose_base_model
from studio.web.context import Context

Text = Annotated[str, Field(max_length=2000)]
_NO_STORE = {"Cache-Control": "no-store"}


class SavedCaption(BaseModel):
    """A caption as a person wrote it, and the version that the person saw."""

    text: Text
    version: int


class JobRequest(BaseModel):
    """Which captioner writes, and what it does with the trigger word."""

    captioner: str = Field(min_length=1, max_length=300)
    trigger_word: str = Field("", max_length=200)
    place: Place = "subject"
    again: bool = False
    wording: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)


class Replacement(BaseModel):
    """What is looked for in the captions, and what comes in its place."""

    find: str = Field(max_length=500)
    replace: str = Field("", max_length=500)
    regex: bool = False
    match_case: bool = False


class WordRequest(BaseModel):
    """The trigger word of the data set, and where it stands in the captions."""

    word: str = Field("", max_length=200)
    place: Place = "subject"
    pictures: list[str] | None = Field(None, max_length=100_000)
    preview: bool = False


class Confirmed(BaseModel):
    """Drafts that a person has read and found right; none means all."""

    pictures: list[str] | None = Field(None, max_length=100_000)


class Undo(BaseModel):
    """The token that a change of many captions gave."""

    token: str = Field(max_length=200)


def router(context: Context) -> APIRouter:
    """The Captions page's routes."""
    api = APIRouter(prefix="/api/captions")
    bases = BaseModels(context)

    def answer(value: Any, status: int = 200) -> JSONResponse:
        return JSONResponse(value, status, headers=_NO_STORE)

    @api.get("/{dataset_id}")
    def everything(dataset_id: str) -> JSONResponse:
        return answer(describe_captions(context, dataset_id, bases))

    @api.get("/{dataset_id}/changes")
    def changes(dataset_id: str, since: Annotated[int, Query(ge=0)] = 0) -> JSONResponse:
        """What is new since the stamp `since`."""
        job = read_job(context, dataset_id)  # before the captions, so that an ended job has told all that it wrote
        index, counter = context.datasets.index(dataset_id), bases.counter(dataset_id)
        stamp = index.changed()
        return answer({"stamp": stamp, "job": job, "pictures": [_describe(p, counter) for p in index.changed_since(since)]})

    @api.put("/{dataset_id}/pictures/{picture_id}")
    def save(dataset_id: str, picture_id: str, caption: SavedCaption) -> JSONResponse:
        counter = bases.counter(dataset_id)
        try:
            version = captions.set_caption(context.datasets, dataset_id, picture_id, caption.text, caption.version)
        except captions.CaptionConflict as conflict:
            theirs = _describe(conflict.picture, counter)
            return answer({"error": {"text": conflict.text, "field": None, "theirs": theirs}}, 409)
        return answer({"version": version, "tokens": count(counter, caption.text)})

    @api.post("/{dataset_id}/tokens")
    def count_tokens(dataset_id: str, text: Annotated[str, Query(max_length=2000)]) -> JSONResponse:
        return answer({"tokens": count(bases.counter(dataset_id), text)})

    _add_job_routes(api, context, answer)
    _add_bulk_routes(api, context, answer)
    return api


def _add_job_routes(api: APIRouter, context: Context, answer: Callable[..., JSONResponse]) -> None:
    @api.post("/{dataset_id}/job")
    def start(dataset_id: str, job: JobRequest) -> JSONResponse:
        word = check_word(job.trigger_word)
        who = job.captioner.strip()
        context.jobs.start(dataset_id, captioner=who, trigger_word=word, place=job.place, overwrite_own=job.again, wording=job.wording)
        return answer({"job": read_job(context, dataset_id)})

    @api.get("/{dataset_id}/job")
    def status(dataset_id: str) -> JSONResponse:
        return answer({"job": read_job(context, dataset_id)})

    @api.delete("/{dataset_id}/job")
    def cancel(dataset_id: str) -> JSONResponse:
        context.jobs.cancel(dataset_id)
        return answer({"job": read_job(context, dataset_id)})


def _add_bulk_routes(api: APIRouter, context: Context, answer: Callable[..., JSONResponse]) -> None:
    @api.post("/{dataset_id}/replace/preview")
    def preview(dataset_id: str, wanted: Replacement) -> JSONResponse:
        found = captions.preview_replace(
            context.datasets, dataset_id, wanted.find, wanted.replace, regex=wanted.regex, match_case=wanted.match_case
        )
        return answer({"changes": [{"id": c.picture_id, "before": c.before, "after": c.after} for c in found]})

    @api.post("/{dataset_id}/replace")
    def replace(dataset_id: str, wanted: Replacement) -> JSONResponse:
        token = captions.replace(
            context.datasets, dataset_id, wanted.find, wanted.replace, regex=wanted.regex, match_case=wanted.match_case
        )
        return answer({"token": token})

    @api.put("/{dataset_id}/word")
    def name_word(dataset_id: str, wanted: WordRequest) -> JSONResponse:
        """Notes the word; says which captions do not have it where it belongs. No caption is changed."""
        word = check_word(wanted.word)
        info = context.datasets.info(dataset_id)
        if (word, wanted.place) != (info.trigger_word, info.trigger_place) and not wanted.preview:
            info = context.datasets.update(dataset_id, trigger_word=word, trigger_place=wanted.place)
        unlike = find_unlike(context, dataset_id, word, wanted.place) if word else []
        return answer({"trigger_word": info.trigger_word, "unlike": unlike})

    @api.post("/{dataset_id}/word")
    def place_word(dataset_id: str, wanted: WordRequest) -> JSONResponse:
        token = captions.set_trigger_word(context.datasets, dataset_id, check_word(wanted.word), wanted.place, wanted.pictures)
        return answer({"token": token})

    @api.post("/{dataset_id}/confirm")
    def confirm(dataset_id: str, wanted: Confirmed) -> JSONResponse:
        drafts = (p for p in context.datasets.pictures(dataset_id) if p.text_by == "draft")
        texts = {p.id: p.text for p in drafts if wanted.pictures is None or p.id in wanted.pictures}
        return answer({"token": captions.change_captions(context.datasets, dataset_id, texts, by="person"), "count": len(texts)})

    @api.post("/{dataset_id}/undo")
    def undo(dataset_id: str, wanted: Undo) -> JSONResponse:
        captions.undo(context.datasets, dataset_id, wanted.token)
        return answer({"undone": True})


def check_word(word: str) -> str:
    """The trigger word without the space around it.

    Raises:
        DarkroomError: When it is not one plain word; the rule is the training's own.
    """
    parse_config(TextToImageConfig, {"trigger_word": word})
    return word.strip()


def find_unlike(context: Context, dataset_id: str, word: str, place: str) -> list[str]:
    """Ids of the pictures whose caption would read otherwise with the word at its place."""
    written = (p for p in context.datasets.pictures(dataset_id) if p.text)
    return [p.id for p in written if captions.with_trigger_word(p.text, word, place) != p.text]


def describe_captions(context: Context, dataset_id: str, bases: BaseModels) -> dict[str, Any]:
    """All that the page shows at first: pictures with captions, the token limit, the job."""
    info = context.datasets.info(dataset_id)
    stamp = context.datasets.index(dataset_id).changed()  # before the rows: what changes while they are read is told again
    pictures = context.datasets.pictures(dataset_id)
    counter = bases.counter(dataset_id, fresh=True)
    return {
        "dataset": {"id": info.id, "name": info.name, "kind": info.kind, "trigger_word": info.trigger_word, "place": info.trigger_place},
        "pictures": [_describe(p, counter) for p in pictures],
        "limit": counter.limit,
        "exact": counter.exact,
        "stamp": stamp,
        "job": read_job(context, dataset_id),
    }


class BaseModels:
    """The base model that a data set will most likely be trained on: looked up once a visit, not with every key."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, str] = {}

    def counter(self, dataset_id: str, *, fresh: bool = False) -> Counter:
        """What counts the tokens of its captions."""
        if fresh or dataset_id not in self._known:
            self._known[dataset_id] = choose_base_model(self._context, dataset_id)
        return load_counter(self._known[dataset_id])


def count(counter: Counter, text: str) -> int:
    """Tokens of a caption; an empty one has none."""
    return counter.count(text) if text.strip() else 0


def read_job(context: Context, dataset_id: str) -> dict[str, Any]:
    """Where the captioning of a data set stands."""
    return dict(context.jobs.status(dataset_id)) if context.jobs else {"state": "idle"}


def _describe(picture: Picture, counter: Counter) -> dict[str, Any]:
    keys: Sequence[str] = ("id", "name", "text", "version", "width", "height")
    shown = {**{k: getattr(picture, k) for k in keys}, "by": picture.text_by, "tokens": count(counter, picture.text), "img": picture.face}
    if picture.before is None or picture.after is None:
        return shown
    return shown | {"before": picture.before.id if picture.before.file else "", "after": picture.after.id if picture.after.file else ""}
