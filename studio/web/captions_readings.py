"""What the Captions page asks of the next passes of a training: what it will read of some captions, and how many texts that makes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

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
    """The route of the preview."""
    store, counts = context.datasets, Remembered[ReadAll]()

    @api.post("/{dataset_id}/readings")
    def preview(dataset_id: str, wanted: ReadingRequest) -> JSONResponse:
        """The captions as they are read, pass by pass; in all of them, how many have tags that change places."""
        word, _ = store.trigger(dataset_id)
        settings = {"caption_dropout", "shuffle_tags", "keep_tags", "seed"}
        reading = plan_reading({name: value for name, value in wanted.model_dump().items() if name in settings}, word)
        among = None if wanted.among is None else [place for place, _ in zip(from_runs(wanted.among), range(_LOOKED_AT), strict=False)]
        rows = preview_readings(store, dataset_id, reading, passes=wanted.passes, among=among, most=wanted.most)
        index = store.index(dataset_id)
        everything = counts.get(index, reading.orders, lambda: count_readings(index, reading.orders))
        return answer({"rows": [asdict(row) for row in rows], "all": asdict(everything)})
