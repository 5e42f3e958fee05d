"""What a check found: findings, score and sentences; kept as dataset_report.json beside the pictures."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.index import hold_lock
from studio.datasets.measure_cache import VERSION as MEASURED
from studio.datasets.split import Leak, Split
from studio.datasets.store import DatasetStore

Severity = Literal["stop", "warn", "hint"]
# Of each part its name, how many per cent of the whole it counts, and what counts in it.
PARTS = {
    "pictures": {
        "pictures": ("Pictures", 40, "enough of them, before different backgrounds, and none that judges is learnt from"),
        "quality": ("Picture quality", 30, "whole, sharp, lit, large enough, and none twice"),
        "captions": ("Captions", 30, "one for each, with the trigger word, short enough, and different"),
    },
    "pairs": {
        "pictures": ("Pairs", 40, "complete, enough of them, and none that judges is learnt from"),
        "quality": ("Picture quality", 30, "whole, changed, of one size, large enough, and none twice"),
        "captions": ("Instructions", 30, "one for each that somebody has read, short enough, and different"),
    },
}
SHOWN_CUTS = 24  # of each bucket; the others are placed when they are asked for
WHOLE = 0.005  # share of a picture that may be cut away without being told


@dataclass(frozen=True)
class Action:
    """The one button of a finding. `kind`: remove, caption, add_trigger, open_captions, add_pictures, replace, crop or teach."""

    kind: str
    label: str
    picture_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """One thing that would make the data set better.

    `severity`: stop (training would fail on it), warn, hint. `part` and `points`: where and how much it costs of the score.
    `groups`: where several belong together, of how many each group is made; the ids stand in their order.
    """

    code: str
    severity: Severity
    picture_ids: list[str]
    title: str
    rule: str
    way_out: str
    action: Action
    part: str = "quality"
    points: float = 0.0
    groups: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Stays the same while the same rule finds the same pictures; what is ignored is remembered by it."""
        digest = hashlib.sha256("\n".join(sorted(self.picture_ids)).encode()).hexdigest()[:12]
        return f"{self.code}-{digest}"


@dataclass(frozen=True)
class Cut:
    """How one picture comes into its bucket: scaled to `scaled_*`, cut at (`left`, `top`); `lost` is the share cut away."""

    picture_id: str
    scaled_width: int
    scaled_height: int
    left: int
    top: int
    lost: float


@dataclass(frozen=True)
class BucketUse:
    """A bucket in px: how many pictures go into it, how many of them whole, and the first of them."""

    width: int
    height: int
    cuts: list[Cut]
    count: int = 0
    whole: int = 0


@dataclass(frozen=True)
class Part:
    """A part of the score: what is left of its per cent, and in words what counts in it and what is lost."""

    key: str
    name: str
    points: float
    out_of: int
    says: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `score` is the readiness in per cent; `created` in seconds since 1970.

    `fingerprint` is that of the data set it was made from, `stamp` the number of its last change with its trigger word,
    `measured` the version of what was measured.
    """

    score: int
    sentences: list[str]
    findings: list[Finding]
    fine: list[str]
    buckets: list[BucketUse]
    parts: list[Part]
    ignored: list[Finding]
    fingerprint: str
    base_model: str
    resolution: int
    num_pictures: int
    created: float
    split: Split = field(default_factory=Split)
    stamp: str = ""
    measured: int = 0

    @property
    def ready(self) -> bool:
        """Whether training can start with these pictures."""
        return self.num_pictures > 0 and not any(f.severity == "stop" for f in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they stand in dataset_report.json."""
        value = _to_plain(self) | {"ready": self.ready}
        for name in ("findings", "ignored"):
            for finding, plain in zip(getattr(self, name), value[name], strict=True):
                plain["key"] = finding.key
        return value


def _to_plain(value: Any) -> Any:
    """`dataclasses.asdict`, which copies each of a hundred thousand ids by itself, for what stands in a report."""
    if is_dataclass(value):
        return {one.name: _to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, list):
        return list(value) if value and isinstance(value[0], str | int) else [_to_plain(one) for one in value]
    return value


def build_report(
    store: DatasetStore,
    dataset_id: str,
    found: list[Finding],
    *,
    fine: list[str],
    buckets: list[BucketUse],
    base_model: str,
    resolution: int,
    split: Split,
) -> Report:
    """Scores the findings and leaves out what the person ignored; sentences and fingerprint are still open."""
    stamp = read_stamp(store, dataset_id)
    skip = read_ignored(store, dataset_id)
    ordered = sorted(found, key=lambda f: (f.severity != "stop", -f.points, f.code))
    findings = [f for f in ordered if f.key not in skip or f.severity == "stop"]
    ignored = [f for f in ordered if f not in findings]
    info = store.info(dataset_id)
    num_pictures = info.num_pictures
    parts = _score_parts(findings, empty=not num_pictures, kind=info.kind)
    return Report(
        score=round(sum(p.points for p in parts)),
        sentences=[],
        findings=findings,
        fine=fine,
        buckets=buckets,
        parts=parts,
        ignored=ignored,
        fingerprint="",
        base_model=base_model,
        resolution=resolution,
        num_pictures=num_pictures,
        created=time.time(),
        split=split,
        stamp=stamp,
        measured=MEASURED,
    )


def compute_score(findings: list[Finding]) -> int:
    """The score, 0 to 100, of a data set with pictures and these findings."""
    return round(sum(p.points for p in _score_parts(findings, empty=False)))


def _score_parts(findings: list[Finding], *, empty: bool, kind: str = "pictures") -> list[Part]:
    parts = []
    for key, (name, out_of, what) in PARTS[kind].items():
        costs = [f for f in findings if f.part == key and f.points]
        points = 0.0 if empty else round(max(0.0, out_of - sum(f.points for f in costs)), 1)
        parts.append(Part(key, name, points, out_of, _describe_part(what, out_of, points, costs)))
    return parts


def _describe_part(what: str, out_of: int, points: float, costs: list[Finding]) -> str:
    counts = f"Counts {out_of} %: {what}."
    if not costs:
        return f"{counts} Nothing is lost." if points else f"{counts} There is nothing yet."
    told = " and ".join(f"{min(f.points, out_of):.2g} % for “{f.title}”" for f in costs[:2])
    rest = f" and {len(costs) - 2} more" if len(costs) > 2 else ""
    return f"{counts} Lost are {told}{rest}."


def write_report(store: DatasetStore, dataset_id: str, report: Report) -> None:
    """Keeps the report with its data set."""
    files.write_json(_path(store, dataset_id, "dataset_report.json"), report.to_json())


def read_report(store: DatasetStore, dataset_id: str) -> Report | None:
    """The last check's report, or None where there is none that can be read."""
    value = files.read_json(_path(store, dataset_id, "dataset_report.json"))
    try:
        return _from_json(value)
    except (TypeError, KeyError, AttributeError):
        return None


def is_current(store: DatasetStore, dataset_id: str, report: Report) -> bool:
    """Whether pictures, captions and trigger word are still those that the report was made from, and would be looked at in the same way."""
    if report.measured != MEASURED:
        return False
    return report.stamp == read_stamp(store, dataset_id) or report.fingerprint == store.fingerprint(dataset_id)


def read_stamp(store: DatasetStore, dataset_id: str) -> str:
    """Says at once, among fifty thousand rows too, that nothing changed; another stamp need not mean that something did."""
    return f"{store.index(dataset_id).changed()} {store.info(dataset_id).trigger_word}"


@dataclass(frozen=True)
class Summary:
    """What the other pages show of a report. `needs_you`: training would stop at something, or the data set has changed since.

    `along` near copies judge with those that a person chose, as far as the report is still right.
    """

    score: int
    needs_you: bool
    along: int = 0


def read_summary(store: DatasetStore, dataset_id: str) -> Summary | None:
    """The last report in one number; its file is read again only when it has changed. None where there is none."""
    path = _path(store, dataset_id, "dataset_report.json")
    try:
        status = path.stat()
    except OSError:
        return None
    sign = (status.st_mtime_ns, status.st_size)
    known = _summaries.get(path)
    if known is None or known[0] != sign:
        report = read_report(store, dataset_id)
        if report:  # without what makes it large
            report = replace(report, findings=[replace(f, picture_ids=[]) for f in report.findings if f.severity == "stop"], buckets=[])
        if len(_summaries) >= _MOST_SUMMARIES:
            _summaries.clear()
        known = _summaries[path] = (sign, report)
    report = known[1]
    if report is None:
        return None
    current = is_current(store, dataset_id, report)
    return Summary(report.score, bool(report.findings) or not current, len(report.split.along) if current else 0)


_MOST_SUMMARIES = 200
_summaries: dict[Path, tuple[tuple[int, int], Report | None]] = {}


def ignore_finding(store: DatasetStore, dataset_id: str, key: str, *, ignored: bool = True) -> None:
    """Remembers that the person does not mind this finding (or does again); the next check leaves it out."""
    report = read_report(store, dataset_id)
    known = {f.key: f for f in (*report.findings, *report.ignored)} if report else {}
    if key not in known:
        raise DarkroomError("This finding is no longer in the report. Check again to see what there is now.")
    if known[key].severity == "stop":
        raise DarkroomError(f"“{known[key].title}” cannot be ignored: training would stop at it. {known[key].way_out}")
    path = _path(store, dataset_id, "ignored_findings.json")
    with hold_lock(path.parent / ".lock"):
        keys = set(files.read_json(path, []))
        files.write_json(path, sorted(keys | {key} if ignored else keys - {key}))


def read_ignored(store: DatasetStore, dataset_id: str) -> set[str]:
    """Keys of the findings that the person ignores."""
    value = files.read_json(_path(store, dataset_id, "ignored_findings.json"), [])
    return {str(key) for key in value} if isinstance(value, list) else set()


def carry_ignored(store: DatasetStore, source: str, dataset_id: str) -> None:
    """What the person ignores in one data set is ignored in the other one too, which has the same rows."""
    keys = read_ignored(store, source)
    path = _path(store, dataset_id, "ignored_findings.json")
    if keys:
        with hold_lock(path.parent / ".lock"):
            files.write_json(path, sorted(keys | read_ignored(store, dataset_id)))


def with_sentences(report: Report, sentences: list[str]) -> Report:
    """The same report with its words."""
    return replace(report, sentences=sentences)


def _path(store: DatasetStore, dataset_id: str, name: str) -> Path:
    return store.workspace.dataset(dataset_id) / name


def _from_json(value: dict[str, Any]) -> Report:
    def finding(plain: dict[str, Any]) -> Finding:
        values = {k: v for k, v in plain.items() if k != "key"}
        return Finding(**values | {"action": Action(**values["action"])})

    plain = {k: v for k, v in value.items() if k != "ready"}
    plain["findings"] = [finding(f) for f in plain["findings"]]
    plain["ignored"] = [finding(f) for f in plain["ignored"]]
    plain["buckets"] = [BucketUse(**b | {"cuts": [Cut(**c) for c in b["cuts"]]}) for b in plain["buckets"]]
    plain["parts"] = [Part(**p) for p in plain["parts"]]
    leaks = [Leak(**leak) for leak in plain["split"]["leaks"]]
    plain["split"] = Split(**plain["split"] | {"leaks": leaks})
    return Report(**plain)
