"""What a training will read of captions in its first passes: by the trainer's own functions and draws, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backends.contract.caption_reading import Reading, TagOrders
from backends.contract.config import parse_config
from backends.contract.errors import DarkroomError
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.settings.pictures import plan_orders
from studio.datasets.index import PictureIndex
from studio.datasets.store import DatasetStore

PASSES, MOST_PASSES = 5, 20
ROWS, MOST_ROWS = 8, 60
_LEARNT = "missing = '' AND NOT excluded"


@dataclass(frozen=True)
class ReadCaption:
    """One picture's caption as it is written, and as it is read in one pass after the other; nothing where it is left out.

    `content` stands for the picture in a run's manifest, `face` for its thumbnail; `moves` says whether it has tags that change places.
    """

    id: str
    place: int
    name: str
    face: str
    content: str
    text: str
    passes: tuple[str, ...]
    moves: bool


@dataclass(frozen=True)
class ReadAll:
    """Of all captions that are learnt from: how many there are, how many have tags that change places, how many texts are encoded."""

    written: int
    moving: int
    texts: int


def plan_reading(values: dict[str, Any], trigger_word: str = "") -> Reading:
    """How a run with these settings reads captions: caption_dropout, shuffle_tags, keep_tags, tag_orders, seed.

    Raises:
        ConfigFaults: When one of them is not as the training wants it.
    """
    config = parse_config(TextToImageConfig, {"trigger_word": trigger_word, **values})
    return Reading(config.seed or 0, config.caption_dropout, plan_orders(config))


def preview_readings(
    store: DatasetStore, dataset_id: str, reading: Reading, *, passes: int = PASSES, among: Sequence[int] | None = None, most: int = ROWS
) -> list[ReadCaption]:
    """The first captions that are learnt from, or the first of those at the places `among`, as a run with this seed reads them.

    It reads no more rows than it shows. Pictures that are excluded are left out. Which ones are held out to judge is decided by the
    run: of those it reads what is written.

    Raises:
        DarkroomError: When it is a data set of edit pairs.
    """
    if store.info(dataset_id).kind == "pairs":
        raise DarkroomError("Instructions of edit pairs are read as they are written: they are sentences, whose parts keep their order.")
    index = store.index(dataset_id)
    with index.read() as table:
        if among is None:
            found = table.execute(f"SELECT place FROM rows WHERE {_LEARNT} ORDER BY place LIMIT ?", (most,))
            places = [place for (place,) in found]
        else:
            places = list(among[: 4 * most])  # some of them may be excluded
    rows = [row for row in index.at(places) if not row.excluded and not row.missing][:most]
    return [
        ReadCaption(
            id=row.id,
            place=row.place,
            name=row.name,
            face=row.face,
            content=row.content,
            text=row.text,
            passes=tuple(reading.read(row.text, row.content, visit) for visit in range(passes)),
            moves=reading.orders is not None and reading.orders.count(row.text) > 1,
        )
        for row in rows
    ]


def count_readings(index: PictureIndex, orders: TagOrders | None) -> ReadAll:
    """Goes through all captions once, in parts; half a second among 50,000. Equal captions are encoded once."""
    written = moving = 0
    counts: dict[int, int] = {}  # by hash: no caption is kept
    for _, text in index.texts(f"{_LEARNT} AND text <> ''"):
        key = hash(text)
        if key not in counts:
            counts[key] = 1 if orders is None else orders.count(text)
        written += 1
        moving += counts[key] > 1
    return ReadAll(written, moving, sum(counts.values()))
