"""What was found by looking at all captions of a data set is remembered until one of them changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from studio.datasets.index import PictureIndex

_MOST = 16
T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers by data set and question. Safe to share between threads; two that ask the same at once both look, which does no harm."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, Hashable], tuple[tuple[str, int], T]] = {}
        self._guard = threading.Lock()

    def get(self, index: PictureIndex, question: Hashable, find: Callable[[], T]) -> T:
        """The answer that was found for the rows as they are, else what `find` says now."""
        with index.read() as table:
            state = table.execute("SELECT born, changed FROM counter").fetchone()
        key = (str(index.path), question)
        with self._guard:
            known = self._answers.get(key)
        if known and known[0] == state:
            return known[1]
        answer = find()
        with self._guard:
            self._answers.pop(key, None)
            self._answers[key] = (state, answer)
            while len(self._answers) > _MOST:
                del self._answers[next(iter(self._answers))]
        return answer
