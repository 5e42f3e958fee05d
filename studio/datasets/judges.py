"""Who judges a run because a person says so: a mark on a row, set and taken away for one or many as a step that can be undone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from studio.datasets.index import JUDGES
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore, found_picture
from studio.datasets.table import PART


def mark_judges(store: DatasetStore, dataset_id: str, row_ids: Collection[str], *, judges: bool, undoable: bool = True) -> str:
    """Lets rows judge every run over this data set, or learns from them again. The token undoes it, where that is wanted.

    Where one row is marked, exactly the marked ones judge, with what belongs to them (see `choose_held_out`), and the share that a
    run's settings give says nothing. Excluded rows keep the mark and judge nothing.
    """
    store.workspace.dataset(dataset_id)
    with store.index(dataset_id).change() as changes:
        found = [found_picture(changes.get(row_id), row_id) for row_id in dict.fromkeys(row_ids)]
        touched = [row for row in found if row.judges != judges]
        token = store.remember(dataset_id, "judge", changes, touched) if undoable else ""
        for row in touched:
            changes.put(replace(row, judges=judges), files=False)
    return token


def list_judges(store: DatasetStore, dataset_id: str) -> Iterator[Picture]:
    """The rows that a person chose to judge, in their order; some in memory at a time. Excluded ones and halves of pairs are left out."""
    store.workspace.dataset(dataset_id)
    index = store.index(dataset_id)
    places = index.places(JUDGES)
    for start in range(0, len(places), PART):
        yield from index.at(places[start : start + PART])
