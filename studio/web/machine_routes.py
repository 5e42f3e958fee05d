"""What the Captions page asks about what machines noted: wordings to choose from, and how well captions fit their pictures."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backends.contract.captioning import BUNDLED, CAPTIONERS, SCORERS, KnownModel
from studio.datasets.caption_notes import DOUBTFUL, count_scores, read_choices, read_score, worst_scores
from studio.web.captions_routes import read_job
from studio.web.context import Context

MOST_SHOWN = 500  # of the captions that fit worst: as many as a person can read
_NO_STORE = {"Cache-Control": "no-store"}


class ScoreRequest(BaseModel):
    """Who scores, and whether also captions that have their score."""

    scorer: str = Field(BUNDLED, min_length=1, max_length=300)
    again: bool = False


def router(context: Context) -> APIRouter:
    """The routes beside those of the captions themselves."""
    api = APIRouter(prefix="/api/captions")

    def answer(value: Any) -> JSONResponse:
        return JSONResponse(value, headers=_NO_STORE)

    @api.post("/{dataset_id}/score")
    def score(dataset_id: str, wanted: ScoreRequest) -> JSONResponse:
        context.jobs.score(dataset_id, scorer=wanted.scorer.strip(), again=wanted.again)
        return answer({"job": read_job(context, dataset_id)})

    @api.get("/{dataset_id}/fit")
    def fit(dataset_id: str) -> JSONResponse:
        """How many captions have a score that counts, how many of them are doubtful, and which fit worst."""
        context.datasets.info(dataset_id)
        index = context.datasets.index(dataset_id)
        scored, doubtful = count_scores(index)
        worst = [{"id": row_id, "place": place} for row_id, place in worst_scores(index, MOST_SHOWN)]
        models = {"captioners": _describe(CAPTIONERS), "scorers": _describe(SCORERS)}
        return answer({"scored": scored, "doubtful": doubtful, "limit": DOUBTFUL, "worst": worst, **models})

    @api.get("/{dataset_id}/pictures/{picture_id}/notes")
    def notes(dataset_id: str, picture_id: str) -> JSONResponse:
        context.datasets.picture(dataset_id, picture_id)
        index = context.datasets.index(dataset_id)
        found = read_score(index, picture_id)
        said = {"value": found.value, "meaning": found.meaning, "scorer": _name(found.scorer)} if found else None
        return answer({"choices": read_choices(index, picture_id), "score": said})

    return api


def _describe(models: dict[str, KnownModel]) -> list[dict[str, str]]:
    return [{"key": m.key, "label": m.label, "sentence": m.sentence} for m in models.values()]


def _name(scorer: str) -> str:
    return SCORERS[scorer].name if scorer in SCORERS else scorer.rstrip("/").rsplit("/", 1)[-1]
