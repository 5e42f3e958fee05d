"""What the Captions page asks: the captions, one saved caption, the captioning job, and changes of many at once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from heapq import nsmallest
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from studio.datasets import captions
from studio.datasets.caption_notes import count_guesses
from studio.datasets.history import Cause
from studio.datasets.index import SILENT, PictureIndex
from studio.datasets.places import from_runs, read_runs, to_runs
from studio.datasets.remembered import Remembered
from studio.datasets.rows import Picture
from studio.datasets.search import Wanted, find_places, has_scores
from studio.datasets.shared_words import CaptionStyle, describe_style
from studio.datasets.tokens import Counter as Tokens
from studio.datasets.tokens import load_counter
from studio.datasets.trigger import Place, with_trigger_word
from studio.datasets.words import WordCounts
from studio.web import captions_bulk, captions_readings
from studio.web.captions_advice import describe_advice, describe_trigger
from studio.web.captions_bulk import answer, check_word
from studio.web.choices import choose_base_model
from studio.web.context import Context

Text = Annotated[str, Field(max_length=2000)]
Writer = Annotated[str, Field(max_length=40, pattern=r"^[\w-]*$")]
MOST_ROWS = 200  # rows in one answer: a screen shows fewer
WHOLE = "missing = ''"  # half a pair has nothing to say yet


class SavedCaption(BaseModel):
    """A caption as a person wrote it, and the version that the person saw."""

    text: Text
    version: int
    writer: Writer = ""


class JobRequest(BaseModel):
    """Which captioner writes, and what it does with the trigger word."""

    captioner: str = Field(min_length=1, max_length=300)
    trigger_word: str = Field("", max_length=200)
    place: Place = "subject"
    again: bool = False
    wording: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)


class Restored(BaseModel):
    """Which older caption comes back (its number in the history), and in which page a person wants it."""

    number: int
    writer: Writer = ""


def router(context: Context) -> APIRouter:
    """The Captions page's routes."""
    api = APIRouter(prefix="/api/captions")
    bases = BaseModels(context)
    _add_row_routes(api, context, bases)
    _add_save_routes(api, context, bases)
    _add_advice_routes(api, context, bases)
    _add_job_routes(api, context)
    captions_bulk.add_routes(api, context)
    captions_readings.add_routes(api, context)
    return api


def _add_row_routes(api: APIRouter, context: Context, bases: BaseModels) -> None:
    words = WordCounts()

    @api.get("/{dataset_id}")
    def page(dataset_id: str, at: str = "") -> JSONResponse:
        return answer(describe_captions(context, dataset_id, bases, at))

    @api.get("/{dataset_id}/order")
    def order(dataset_id: str) -> JSONResponse:
        return answer({"places": to_runs(context.datasets.index(dataset_id).places(WHOLE))})

    @api.get("/{dataset_id}/rows")
    def rows(dataset_id: str, places: Annotated[str, Query(max_length=20_000)]) -> JSONResponse:
        wanted = list(islice(from_runs(read_runs(places)), MOST_ROWS))
        found = context.datasets.index(dataset_id).at(wanted)
        return answer({"pictures": describe_rows(context, dataset_id, found, bases)})

    @api.get("/{dataset_id}/changes")
    def changes(dataset_id: str, since: Annotated[int, Query(ge=0)] = 0) -> JSONResponse:
        """What is new since the stamp `since`: the rows where they are few, else where they stand."""
        job = read_job(context, dataset_id)  # before the captions, so that an ended job has told all that it wrote
        index = context.datasets.index(dataset_id)
        stamp = index.changed()
        places = index.places(f"{WHOLE} AND changed > ?", [since])
        few = index.at(places) if len(places) <= MOST_ROWS else []
        news = {"pictures": describe_rows(context, dataset_id, few, bases), "places": to_runs(places)}
        return answer({"stamp": stamp, "job": job, "numbers": count_kinds(index), **news})

    @api.post("/{dataset_id}/search")
    def search(dataset_id: str, wanted: Wanted) -> JSONResponse:
        """Where the captions stand that are as wanted."""
        found = find_places(context.datasets.index(dataset_id), wanted, bases.counter(dataset_id))
        return answer({"places": to_runs(found), "count": len(found)})

    @api.get("/{dataset_id}/words")
    def count_words(
        dataset_id: str,
        kind: Literal["words", "tags"] = "words",
        limit: Annotated[int, Query(ge=1, le=1000)] = 14,
        like: Annotated[str, Query(max_length=200)] = "",
    ) -> JSONResponse:
        """The words, or tags, that stand in most captions; `like` must be in them."""
        index = context.datasets.index(dataset_id)
        counts = words.words(index) if kind == "words" else words.tags(index)
        if like:
            counts = Counter({name: count for name, count in counts.items() if like.casefold() in name})
        top = nsmallest(limit, counts.items(), key=lambda item: (-item[1], item[0]))
        return answer({"top": top, "different": len(counts)})


def _add_save_routes(api: APIRouter, context: Context, bases: BaseModels) -> None:
    @api.put("/{dataset_id}/pictures/{picture_id}")
    def save(dataset_id: str, picture_id: str, caption: SavedCaption) -> JSONResponse:
        cause = Cause("hand", writer=caption.writer)
        try:
            captions.set_caption(context.datasets, dataset_id, picture_id, caption.text, caption.version, cause=cause)
        except captions.CaptionConflict as conflict:
            (theirs,) = describe_rows(context, dataset_id, [conflict.picture], bases)
            return answer({"error": {"text": conflict.text, "field": None, "theirs": theirs}}, 409)
        return now(dataset_id, picture_id)

    @api.get("/{dataset_id}/pictures/{picture_id}/history")
    def history(dataset_id: str, picture_id: str) -> JSONResponse:
        found = captions.caption_history(context.datasets, dataset_id, picture_id)
        return answer({"entries": [asdict(entry) for entry in found]})

    @api.post("/{dataset_id}/pictures/{picture_id}/restore")
    def restore(dataset_id: str, picture_id: str, wanted: Restored) -> JSONResponse:
        captions.restore_caption(context.datasets, dataset_id, picture_id, wanted.number, wanted.writer)
        return now(dataset_id, picture_id)

    def now(dataset_id: str, picture_id: str) -> JSONResponse:
        return answer(describe_rows(context, dataset_id, [context.datasets.picture(dataset_id, picture_id)], bases)[0])

    @api.post("/{dataset_id}/tokens")
    def count_tokens(dataset_id: str, text: Annotated[str, Query(max_length=2000)]) -> JSONResponse:
        return answer({"tokens": count(bases.counter(dataset_id), text)})


def _add_advice_routes(api: APIRouter, context: Context, bases: BaseModels) -> None:
    styles = Remembered[CaptionStyle]()

    @api.get("/{dataset_id}/advice")
    def advice(dataset_id: str) -> JSONResponse:
        """What suits the base model, and what nearly all captions share."""
        info = context.datasets.info(dataset_id)
        index, word = context.datasets.index(dataset_id), info.trigger_word
        style = styles.get(index, word, lambda: describe_style(index, word))
        return answer(describe_advice(style, bases.name(dataset_id), info.kind))

    @api.get("/{dataset_id}/known")
    def known(dataset_id: str, word: Annotated[str, Query(max_length=60)]) -> JSONResponse:
        """Whether the base model knows a trigger word already."""
        return answer(describe_trigger(bases.counter(dataset_id), check_word(word), bases.name(dataset_id)))


def _add_job_routes(api: APIRouter, context: Context) -> None:
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


def describe_captions(context: Context, dataset_id: str, bases: BaseModels, at: str = "") -> dict[str, Any]:
    """All that the page shows at first: where the rows stand, those around the one called `at`, the token limit, the job."""
    info = context.datasets.info(dataset_id)
    index = context.datasets.index(dataset_id)
    stamp = index.changed()  # before the rows: what changes while they are read is told again
    places = index.places(WHOLE)
    row = index.get(at) if at else None
    start = max(0, bisect_left(places, row.place) - MOST_ROWS // 2) if row else 0
    counter = bases.counter(dataset_id, fresh=True)
    return {
        "dataset": {"id": info.id, "name": info.name, "kind": info.kind, "trigger_word": info.trigger_word, "place": info.trigger_place},
        "places": to_runs(places),
        "pictures": describe_rows(context, dataset_id, index.at(places[start : start + MOST_ROWS]), bases),
        "numbers": count_kinds(index),
        "limit": counter.limit,
        "exact": counter.exact,
        "stamp": stamp,
        "job": read_job(context, dataset_id),
    }


def count_kinds(index: PictureIndex) -> dict[str, int]:
    """How many rows can have words, are to have some (`wanted`), have none of these; who wrote, how many guessed, if any has a score."""
    with index.read() as table:
        (rows,) = table.execute("SELECT count(*) FROM rows WHERE missing = ''").fetchone()
        kinds = dict(table.execute("SELECT text_by, count(*) FROM rows WHERE missing = '' GROUP BY text_by"))
        (missing,) = table.execute(f"SELECT count(*) FROM rows WHERE {SILENT}").fetchone()
        (excluded,) = table.execute("SELECT count(*) FROM rows WHERE excluded AND missing = ''").fetchone()
    scored = has_scores(index)
    told = {"rows": rows, "wanted": rows - excluded, "missing": missing, "scored": scored, "guessed": count_guesses(index)}
    return {**told, **{by: kinds.get(by, 0) for by in ("person", "file", "captioner", "draft")}}


class BaseModels:
    """The base model that a data set will most likely be trained on: looked up once a visit, not with every key."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, str] = {}

    def name(self, dataset_id: str, *, fresh: bool = False) -> str:
        """Its key, folder or hub name."""
        if fresh or dataset_id not in self._known:
            self._known[dataset_id] = choose_base_model(self._context, dataset_id)
        return self._known[dataset_id]

    def counter(self, dataset_id: str, *, fresh: bool = False) -> Tokens:
        """What counts the tokens of its captions."""
        return load_counter(self.name(dataset_id, fresh=fresh))


def count(counter: Tokens, text: str) -> int:
    """Tokens of a caption; an empty one has none."""
    return counter.count(text) if text.strip() else 0


def read_job(context: Context, dataset_id: str) -> dict[str, Any]:
    """Where the captioning of a data set stands."""
    return dict(context.jobs.status(dataset_id)) if context.jobs else {"state": "idle"}


def describe_rows(context: Context, dataset_id: str, rows: Sequence[Picture], bases: BaseModels) -> list[dict[str, Any]]:
    """What the page shows of rows: their words, how long they are, and whether the trigger word is elsewhere than it belongs."""
    if not rows:
        return []
    word, place = context.datasets.trigger(dataset_id)
    counter = bases.counter(dataset_id)
    return [
        _describe(row, counter) | {"off": bool(word and row.text) and with_trigger_word(row.text, word, place) != row.text} for row in rows
    ]


def _describe(picture: Picture, counter: Tokens) -> dict[str, Any]:
    keys: Sequence[str] = ("id", "place", "name", "text", "version", "width", "height")
    shown = {**{k: getattr(picture, k) for k in keys}, "by": picture.text_by, "tokens": count(counter, picture.text), "img": picture.face}
    shown |= {"excluded": True} if picture.excluded else {}
    if picture.before is None or picture.after is None:
        return shown
    return shown | {"before": picture.before.id, "after": picture.after.id}
