"""The map of a data set: some hundreds of its pictures at most, drawn by their ids, so that they are the same every time."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from backends.contract import files
from studio.datasets.diversity import HEIGHT, WIDTH, compute_map
from studio.datasets.measure_cache import read_measures
from studio.datasets.store import DatasetStore

MOST = 300
_VERSION = 1


@dataclass(frozen=True)
class DatasetMap:
    """`places`: by row id the middle of a picture in shares of the map's width and height; `side` of each in shares of the width.

    `varied`: as many pictures with nothing in common would be as varied as those on the map; `total` rows are learnt from.
    """

    places: dict[str, tuple[float, float]]
    side: float
    varied: float
    total: int


def map_dataset(store: DatasetStore, dataset_id: str, most: int = MOST) -> DatasetMap:
    """The map of the pictures, of pairs by the picture after; those that no check has measured yet are left out.

    Kept in the cache until these pictures change.
    """
    index = store.index(dataset_id)
    rows = [row for _, row in index.numbered(index.draw(most)).values()]
    known = read_measures(store.workspace.cache, [row.sha256 for row in rows])
    rows = sorted((row for row in rows if row.sha256 in known), key=lambda row: row.id)
    numbers = index.numbers()
    total = numbers.rows - numbers.incomplete - numbers.excluded
    sign = hashlib.sha256(f"{_VERSION} {total} {' '.join(f'{row.id} {row.sha256}' for row in rows)}".encode()).hexdigest()
    path = store.workspace.cache / "maps" / f"{dataset_id}-{most}.json"
    kept = files.read_json(path)
    if isinstance(kept, dict) and kept.pop("sign", "") == sign:
        return DatasetMap(**kept | {"places": {row_id: (x, y) for row_id, (x, y) in kept["places"].items()}})
    laid = compute_map([known[row.sha256] for row in rows])
    places = {
        row.id: (round(x / WIDTH, 4), round(y / HEIGHT, 4)) for row, (x, y) in zip(rows, laid.points.astype(float).tolist(), strict=True)
    }
    made = DatasetMap(places, round(laid.side / WIDTH, 4), round(laid.varied, 1), total)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, asdict(made) | {"sign": sign})
    return made


def describe_map(shown: DatasetMap, noun: str) -> str:
    """The map in two sentences."""
    count = len(shown.places)
    if not count:
        return "It is drawn at the next check."
    which = f"{count:,} of {shown.total:,} {noun}s, drawn by chance once for all" if count < shown.total else f"All {count:,} {noun}s"
    return f"{which}. What looks alike lies together. They are as varied as {shown.varied:,.0f} that have nothing in common."
