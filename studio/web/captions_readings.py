"""What the Captions page asks of the next passes of a training: what it will read of some captions, and how many texts that makes."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from backends.contract.caption_reading import Reading
from studio.datasets.places import Runs, from_runs
from studio.datasets.readings import MOST_PASSES, MOST_ROWS, PASSES, ROWS, ReadAll, count_readings, plan_reading, preview_readings
from studio.datasets.remembered import Remembered
from studio.web.captions_bulk import answer
from studio.web.context import Context

Value = Annotated[str, Field(max_length=20)]
_LOOKED_AT = 200  # of the places that are named: the first that are learnt from are shown


class ReadingRequest(BaseModel):
    """The training's settings as they are typed, and of which captions."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    caption_dropout: Value = "0"
    shuffle_tags: bool = False
    keep_tags: Value = "1"
    seed: Value = "0"
    passes: int = Field(PASSES, ge=1, le=MOST_PASSES)
    most: int = Field(ROWS, ge=1, le=MOST_ROWS)
    among: Runs | None = None


def add_routes(api: APIRouter, context: Context) -> None:
    """The routes of the preview."""
    store, counts = context.datasets, Remembered[ReadAll]()

    @api.post("/{dataset_id}/readings")
    def preview(dataset_id: str, wanted: ReadingRequest) -> JSONResponse:
        """The captions as they are read, pass by pass."""
        among = None if wanted.among is None else list(islice(from_runs(wanted.among), _LOOKED_AT))
        rows = preview_readings(store, dataset_id, plan(dataset_id, wanted), passes=wanted.passes, among=among, most=wanted.most)
        return answer({"rows": [asdict(row) for row in rows]})

    @api.post("/{dataset_id}/readings/count")
    def count(dataset_id: str, wanted: ReadingRequest) -> JSONResponse:
        """In all captions, how many have tags that change places, and how many texts that makes."""
        index, orders = store.index(dataset_id), plan(dataset_id, wanted).orders
        return answer(asdict(counts.get(index, orders, lambda: count_readings(index, orders))))

    def plan(dataset_id: str, wanted: ReadingRequest) -> Reading:
        word, _ = store.trigger(dataset_id)
        return plan_reading({name: getattr(wanted, name) for name in ("caption_dropout", "shuffle_tags", "keep_tags", "seed")}, word)
