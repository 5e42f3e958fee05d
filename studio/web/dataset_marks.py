"""Marks on thumbnails: only where something needs a look, in two words. Worked out beside the pages, kept until the pictures change."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from backends.contract.base_models import find_base_model
from backends.contract.buckets import compute_buckets
from studio.datasets import pair_rules, picture_rules
from studio.datasets.checks import DEFAULT_BASE, placing
from studio.datasets.facts import Facts, Seen
from studio.datasets.index import PictureIndex
from studio.datasets.measure_cache import read_measures
from studio.datasets.report import Finding
from studio.datasets.store import DatasetStore

_PART = 500
_MOST_SETS = 4  # whose marks are kept at once
_PATIENCE_S, _AGAIN_S = 0.05, 10.0
_RULES = {
    "pictures": (picture_rules.find_small, picture_rules.find_alike, picture_rules.find_blurred, picture_rules.find_empty),
    "pairs": (picture_rules.find_small, pair_rules.find_unchanged, pair_rules.find_double, pair_rules.find_uneven),
}
_ICONS = {"broken": "alert", "small": "small", "blurred": "blur", "empty": "alert", "unchanged": "alert", "uneven": "alert"}
_SIGNS = """SELECT rows.place, missing, excluded, one.sha256, other.sha256 FROM rows
LEFT JOIN images one ON one.place = rows.place AND one.side IN ('', 'after')
LEFT JOIN images other ON other.place = rows.place AND other.side = 'before'"""
Mark = dict[str, str]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Marks:
    """Place -> its marks (`code`, `icon`, `text`), of places that have some. Not `ready` while newer ones are worked out."""

    of: dict[int, list[Mark]] = field(default_factory=dict)
    ready: bool = True

    @property
    def places(self) -> list[int]:
        """The places with a mark, in their order."""
        return sorted(self.of)

    def describe(self, places: Sequence[int]) -> dict[str, Any]:
        """The marks of these places, and how many places have some in all."""
        return {"ready": self.ready, "count": len(self.of), "rows": [{"place": place, "marks": self.of.get(place, [])} for place in places]}


@dataclass
class _Known:
    """The marks of one table as it was at `stamp`: its number of changes, which table it is, when files came or went.

    `signs` stand for what the marks of each row hang on; `due`: when to look again for measures that were not there (0: never).
    """

    stamp: tuple[int, str, int]
    signs: dict[int, int]
    marks: Marks
    due: float = 0.0

    def is_current(self, index: PictureIndex) -> bool:
        """Whether the same marks would come out now; words may have changed since."""
        now = _read_stamp(index)
        if now[1:] != self.stamp[1:] or (self.due and time.monotonic() >= self.due):
            return False
        if now == self.stamp:
            return True
        with index.read() as table:
            (count,) = table.execute("SELECT count(*) FROM rows").fetchone()
        moved = _read_signs(index, self.stamp[0])
        if count != len(self.signs) or any(self.signs.get(place) != sign for place, sign in moved.items()):
            return False
        self.stamp = now
        return True


class MarksKeeper:
    """The marks of data sets. Safe to share between threads; no answer waits for what takes long."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._busy: dict[str, threading.Thread] = {}
        self._guard = threading.Lock()

    def read(self, dataset_id: str) -> Marks:
        """The marks as they are known now: those of a moment ago where the pictures have just changed, none at first."""
        with self._guard:
            known = self._known.get(dataset_id)
        if known is not None and known.is_current(self._store.index(dataset_id)):
            return known.marks
        with self._guard:
            work = self._busy.get(dataset_id)
            if work is None:
                work = threading.Thread(target=self._renew, args=(dataset_id,), name="marks", daemon=True)
                self._busy[dataset_id] = work
                work.start()
        work.join(_PATIENCE_S)  # a few pictures are done at once
        with self._guard:
            now = self._known.get(dataset_id)
        return replace(now.marks, ready=now is not known) if now is not None else Marks(ready=False)

    def _renew(self, dataset_id: str) -> None:
        index, marks, facts, due = self._store.index(dataset_id), Marks(), None, 0.0
        stamp, signs = _read_stamp(index), _read_signs(index)  # before the rows: what changes meanwhile is seen at the next look
        try:
            facts, complete = gather_facts(self._store, dataset_id)
            marks, due = Marks(_compute(facts)), 0.0 if complete else time.monotonic() + _AGAIN_S
        except Exception:  # noqa: BLE001 - without marks the table is still right; Check tells the rest
            _log.exception("The marks of “%s” could not be worked out", dataset_id)
        finally:
            with self._guard:
                self._known[dataset_id] = _Known(stamp, signs, marks, due)
                self._known.move_to_end(dataset_id)
                while len(self._known) > _MOST_SETS:
                    self._known.popitem(last=False)
                self._busy.pop(dataset_id, None)


def gather_facts(store: DatasetStore, dataset_id: str) -> tuple[Facts, bool]:
    """What the rules look at, without opening a picture, and whether all pictures were measured; of a file that is gone `broken` tells."""
    base = find_base_model(DEFAULT_BASE)
    assert base is not None
    place = placing(compute_buckets(base.resolution, base.bucket_step))
    there = set(os.listdir(store.workspace.dataset(dataset_id) / "images"))
    facts = Facts(store.info(dataset_id), [], {}, base.resolution, cache=store.workspace.cache)
    rows, number, complete = store.index(dataset_id).rows(), 0, True
    while part := list(islice(rows, _PART)):
        known = read_measures(store.workspace.cache, [image.sha256 for row in part for image in row.images])
        for row in part:
            number += 1
            if row.excluded:
                continue
            images = row.images
            measures = [known.get(image.sha256) for image in images]
            complete &= None not in measures
            if not all(image.file.rpartition("/")[2] in there for image in images):
                facts.broken[row.id] = (row, "Its file is gone.")
            elif not row.missing and measures[-1] is not None:  # an emptied cache: the Check page measures anew
                before = measures[0] if row.before is not None else None
                facts.seen.append(Seen(row, place(row.width, row.height), measures[-1], number, before))
    return facts, complete


def _compute(facts: Facts) -> dict[int, list[Mark]]:
    by_id = {s.picture.id: s for s in facts.seen}
    marks: dict[int, list[Mark]] = {row.place: [_mark("broken", "cannot be read")] for row, _ in facts.broken.values()}
    for rule in _RULES[facts.info.kind]:
        for finding in rule(facts):
            for row_id, text in _texts(finding, facts, by_id):
                marks.setdefault(by_id[row_id].picture.place, []).append(_mark(finding.code, text))
    return marks


def _texts(finding: Finding, facts: Facts, by_id: dict[str, Seen]) -> list[tuple[str, str]]:
    if finding.code == "small":
        return [(pid, f"{min(by_id[pid].picture.width, by_id[pid].picture.height)} px") for pid in finding.picture_ids]
    if finding.code == "twin":
        extra = finding.action.picture_ids
        kept = [by_id[pid] for pid in finding.picture_ids if pid not in extra]
        return [(pid, f"twin of {facts.names(kept)}") for pid in extra]
    words = {
        "alike": "has a twin",
        "blurred": "blurred",
        "empty": "nothing on it",
        "unchanged": "nothing changes",
        "double": "has a double",
        "uneven": "two sizes",
    }
    return [(pid, words[finding.code]) for pid in finding.picture_ids]


def _mark(code: str, text: str) -> Mark:
    return {"code": code, "icon": _ICONS.get(code, "twin"), "text": text}


def _read_stamp(index: PictureIndex) -> tuple[int, str, int]:
    with index.read() as table:
        changed, born = table.execute("SELECT changed, born FROM counter").fetchone()
    return changed, born, (index.folder / "images").stat().st_mtime_ns


def _read_signs(index: PictureIndex, since: int = -1) -> dict[int, int]:
    """Place -> what stands for its pictures, of rows that changed after that number."""
    with index.read() as table:
        return {line[0]: hash(line[1:]) for line in table.execute(f"{_SIGNS} WHERE changed > ?", (since,))}
