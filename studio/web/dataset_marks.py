"""Marks on thumbnails: only where something needs a look, in two words. Quick: what the check measured is read, not measured again."""

from __future__ import annotations

from itertools import islice
from typing import Any

from backends.contract.base_models import find_base_model
from backends.contract.buckets import choose_bucket, compute_buckets, compute_placement
from studio.datasets import pair_rules, picture_rules
from studio.datasets.checks import DEFAULT_BASE
from studio.datasets.facts import Facts, Seen
from studio.datasets.measure_cache import read_measures
from studio.datasets.report import Finding
from studio.datasets.store import DatasetStore

_PART = 500
Mark = dict[str, str]
_RULES = {
    "pictures": (picture_rules.find_small, picture_rules.find_alike, picture_rules.find_blurred, picture_rules.find_empty),
    "pairs": (picture_rules.find_small, pair_rules.find_unchanged, pair_rules.find_double, pair_rules.find_uneven),
}
_ICONS = {"broken": "alert", "small": "small", "blurred": "blur", "empty": "alert", "unchanged": "alert", "uneven": "alert"}


def compute_marks(store: DatasetStore, dataset_id: str, *, by_place: bool = False) -> dict[Any, list[Mark]]:
    """Picture id, or the place where it stands -> its marks (`code`, `icon`, `text`); pictures without one are left out."""
    facts = gather_facts(store, dataset_id)
    marks: dict[str, list[Mark]] = {pid: [_mark("broken", "cannot be read")] for pid in facts.broken}
    for rule in _RULES[facts.info.kind]:
        for finding in rule(facts):
            for pid, text in _texts(finding, facts):
                marks.setdefault(pid, []).append(_mark(finding.code, text))
    if not by_place:
        return marks
    places = {s.picture.id: s.picture.place for s in facts.seen} | {pid: row.place for pid, (row, _) in facts.broken.items()}
    return {places[pid]: found for pid, found in marks.items()}


def gather_facts(store: DatasetStore, dataset_id: str) -> Facts:
    """What the rules look at, without opening a picture; one whose file is gone stands under `broken`."""
    base = find_base_model(DEFAULT_BASE)
    assert base is not None
    folder, buckets = store.workspace.dataset(dataset_id), compute_buckets(base.resolution, base.bucket_step)
    facts = Facts(store.info(dataset_id), [], {}, base.resolution, cache=store.workspace.cache)
    rows, number = store.index(dataset_id).rows(), 0
    while part := list(islice(rows, _PART)):
        known = read_measures(store.workspace.cache, [image.sha256 for row in part for image in row.images])
        for row in part:
            number += 1
            measures = [known.get(image.sha256) for image in row.images]
            if row.excluded:
                continue
            if not all((folder / image.file).is_file() for image in row.images):
                facts.broken[row.id] = (row, "Its file is gone.")
            elif not row.missing and measures[-1] is not None:  # an emptied cache: the Check page measures anew
                placement = compute_placement(row.width, row.height, choose_bucket(row.width, row.height, buckets))
                before = measures[0] if row.before is not None else None
                facts.seen.append(Seen(row, placement, measures[-1], number, before))
    return facts


def _texts(finding: Finding, facts: Facts) -> list[tuple[str, str]]:
    by_id: dict[str, Any] = {s.picture.id: s for s in facts.seen}
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
