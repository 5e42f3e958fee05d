"""The report as the Check page shows it: bounded, however many pictures there are; the rest is asked for in parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from backends.contract.base_models import find_base_model
from backends.contract.errors import DarkroomError
from studio.datasets.checks import list_cuts
from studio.datasets.dataset_map import describe_map, map_dataset
from studio.datasets.facts import join_numbers
from studio.datasets.report import BucketUse, Finding, Report, is_current, read_report
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore
from studio.web.choices import choose_base_model
from studio.web.context import Context

SHOWN = 3  # pictures beside a finding
MOST_CUTS, LEAST_CUTS = 96, 4  # pictures under all buckets together, and under one
PART = 60
TOGETHER, ALONG = "together", "along"
Shown = dict[str, Any]


def describe_check(context: Context, dataset_id: str) -> Shown:
    """The report, whether it is out of date, and the rows that it shows; `rows` by id."""
    info = context.datasets.info(dataset_id)
    report = read_report(context.datasets, dataset_id)
    base = choose_base_model(context, dataset_id)
    known = find_base_model(base)
    current = report is not None and report.base_model == base and is_current(context.datasets, dataset_id, report)
    told = describe_report(report) if report else None
    return {
        "dataset": {"id": info.id, "name": info.name, "kind": info.kind, "pictures": info.num_pictures, "trigger_word": info.trigger_word},
        "report": told,
        "current": current,
        "base": known.name if known else base,
        "rows": describe_rows(context.datasets, dataset_id, _ids_shown(told)) if told else {},
        "mend": _describe_mend(context.datasets, dataset_id, report) if report else {"count": 0, "names": ""},
    }


def describe_report(report: Report) -> Shown:
    """The report without the long lists of ids, of which the first stand in `shown`."""
    split = report.split
    return {
        "score": report.score,
        "ready": report.ready,
        "sentences": report.sentences,
        "parts": [{"key": p.key, "name": p.name, "points": p.points, "out_of": p.out_of, "says": p.says} for p in report.parts],
        "findings": [_describe_finding(f) for f in report.findings],
        "ignored": [{"key": f.key, "code": f.code, "title": f.title} for f in report.ignored],
        "fine": report.fine,
        "buckets": [_describe_bucket(b, len(report.buckets)) for b in report.buckets],
        "resolution": report.resolution,
        "num_pictures": report.num_pictures,
        "split": {
            "training": split.training,
            "chosen": split.chosen,
            "along": len(split.along),
            "who": split.say_chosen(),
            "held_out": split.held_out,
            "groups": len(split.together),
            "together": sum(map(len, split.together)),
            "shown": [i for group in split.together[:2] for i in group][:SHOWN],
        },
        "created": report.created,
    }


def _describe_finding(finding: Finding) -> Shown:
    action = finding.action
    return {
        "key": finding.key,
        "code": finding.code,
        "severity": finding.severity,
        "title": finding.title,
        "rule": finding.rule,
        "way_out": finding.way_out,
        "points": finding.points,
        "count": len(finding.picture_ids),
        "shown": finding.picture_ids[:SHOWN],
        "action": {"kind": action.kind, "label": action.label, "count": len(action.picture_ids), "first": action.picture_ids[:1]},
    }


def _describe_bucket(use: BucketUse, buckets: int) -> Shown:
    cuts = use.cuts[: max(LEAST_CUTS, MOST_CUTS // buckets)]
    plain = [{"id": c.picture_id, "width": c.scaled_width, "height": c.scaled_height, "left": c.left, "top": c.top} for c in cuts]
    lost = [{"lost": c.lost} for c in cuts]
    both = [one | more for one, more in zip(plain, lost, strict=True)]
    return {"width": use.width, "height": use.height, "count": use.count, "whole": use.whole, "cuts": both}


def _ids_shown(told: Shown) -> list[str]:
    lists = [f["shown"] + f["action"]["first"] for f in told["findings"]]
    lists += [[c["id"] for c in b["cuts"]] for b in told["buckets"]]
    return [i for ids in (*lists, told["split"]["shown"]) for i in ids]


def describe_rows(store: DatasetStore, dataset_id: str, ids: Collection[str]) -> dict[str, Shown]:
    """What is drawn of these rows, as far as they are there, by id."""
    return {row_id: _describe_row(number, row) for row_id, (number, row) in store.index(dataset_id).numbered(ids).items()}


def _describe_row(number: int, row: Picture) -> Shown:
    shown = {"number": number, "name": row.name, "img": row.face}
    before = row.before.id if row.before and row.before.file else ""
    return shown if row.before is None else shown | {"before": before, "missing": row.missing}


def _describe_mend(store: DatasetStore, dataset_id: str, report: Report) -> Shown:
    """What one button would remove: everything that some finding would, where there are several."""
    findings = [f for f in report.findings if f.action.kind == "remove"]
    if len(findings) < 2:
        return {"count": 0, "names": ""}
    ids = list(dict.fromkeys(i for f in findings for i in f.action.picture_ids))
    few = store.index(dataset_id).numbered(ids) if len(ids) <= SHOWN else {}
    return {"count": len(ids), "names": join_numbers(sorted(number for number, _ in few.values()), report.num_pictures) if few else ""}


def describe_dataset_map(context: Context, dataset_id: str) -> Shown:
    """The map with the rows that stand on it, by id."""
    info = context.datasets.info(dataset_id)
    shown = map_dataset(context.datasets, dataset_id)
    rows = describe_rows(context.datasets, dataset_id, list(shown.places))
    words = describe_map(shown, "pair" if info.kind == "pairs" else "picture")
    return {"places": shown.places, "side": shown.side, "says": words, "rows": rows}


def describe_part(context: Context, dataset_id: str, key: str, offset: int) -> Shown:
    """The next pictures of a finding, of those that were kept together or judge with chosen ones, or of a bucket (`1024x768`).

    Answers with `ids` in their order, `rows` by id, `count` of them all, and either `groups` (to which each belongs, by number)
    or `cuts`.
    """
    store = context.datasets
    report = read_report(store, dataset_id)
    if report is None:
        raise DarkroomError("There is no report yet. Check the data set first.")
    bucket = next((b for b in report.buckets if f"{b.width}x{b.height}" == key), None)
    if bucket is not None:
        cuts = list_cuts(store, dataset_id, report, (bucket.width, bucket.height), offset, PART)
        plain = _describe_bucket(BucketUse(bucket.width, bucket.height, cuts), 1)["cuts"]
        ids = [c.picture_id for c in cuts]
        return {"count": bucket.count, "ids": ids, "cuts": plain, "rows": describe_rows(store, dataset_id, ids)}
    ids, sizes = _find_list(report, key)
    part = ids[offset : offset + PART]
    groups = _number_groups(sizes)[offset : offset + PART] if sizes else []
    return {"count": len(ids), "ids": part, "groups": groups, "rows": describe_rows(store, dataset_id, part)}


def _find_list(report: Report, key: str) -> tuple[list[str], list[int]]:
    if key == TOGETHER:
        return [i for group in report.split.together for i in group], [len(group) for group in report.split.together]
    if key == ALONG:
        return report.split.along, []
    finding = find_finding(report, key)
    return finding.picture_ids, finding.groups


def find_finding(report: Report, key: str) -> Finding:
    """The finding of this key.

    Raises:
        DarkroomError: When the report has none.
    """
    for finding in (*report.findings, *report.ignored):
        if finding.key == key:
            return finding
    raise DarkroomError("This finding is no longer in the report. Check again to see what there is now.")


def _number_groups(sizes: Iterable[int]) -> list[int]:
    return [number for number, size in enumerate(sizes, 1) for _ in range(size)]
