"""The rows that a run is to learn from, read once for all that looks at them; and how far that is, for whoever waits for the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore
from studio.datasets.watch import Watch

Item = TypeVar("Item")
EVERY = 100  # items between two looks at whether it shall go on
# Which share of the whole each part takes, from 0 to 1, as measured among 50,000 pictures that no run has read yet.
ROWS, FILES, FACTS, COPIES, REPORT = (0.0, 0.1), (0.1, 0.35), (0.35, 0.65), (0.65, 0.85), 0.85


class Reading:
    """Rows of one data set, and the watch that is told about them.

    Attributes:
        watch: Says how far it is; what it raises ends the start, of which nothing stays then.
        whole: Whether all files were found to be as they came.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch or Watch()
        self.whole = False
        self._rows: dict[str, list[Picture]] = {}

    def rows(self, store: DatasetStore, dataset_id: str) -> list[Picture]:
        """All rows, in their order, excluded ones too."""
        if dataset_id not in self._rows:
            store.workspace.dataset(dataset_id)
            index = store.index(dataset_id)
            total, noun = index.numbers().rows, store.info(dataset_id).kind
            self._rows[dataset_id] = list(self.through(index.rows(), f"Reading {total:,} {noun}", total, ROWS))
        return self._rows[dataset_id]

    def training(self, store: DatasetStore, dataset_id: str) -> list[Picture]:
        """Those that a training is given: all but the excluded ones."""
        return [row for row in self.rows(store, dataset_id) if not row.excluded]

    def through(self, items: Iterable[Item], what: str, total: int, share: tuple[float, float]) -> Iterator[Item]:
        """The items, counted under this name; `share` is where they begin and end in the whole. Raises `Stopped` between two of them."""
        for number, item in enumerate(items):
            if number % EVERY == 0:
                self.at(number, what, total, share)
            yield item

    def at(self, number: int, what: str, total: int, share: tuple[float, float]) -> None:
        """So many of so many are done. Raises `Stopped` where somebody wants it to end."""
        watch, (start, end) = self.watch, share
        watch.require_going()
        watch.what, watch.done, watch.total = what, number, total
        watch.at(start + (end - start) * number / max(1, total))

    def part(self, what: str, share: tuple[float, float]) -> Callable[[float], None]:
        """What is not counted, under this name; the answer is told how far it is, from 0 to 1."""
        watch, (start, end) = self.watch, share

        def tell(done: float) -> None:
            watch.require_going()
            watch.what, watch.done, watch.total = what, 0, 0
            watch.at(start + (end - start) * done)

        return tell
