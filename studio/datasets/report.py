"""What a check found: findings, score and sentences; kept as dataset_report.json beside the pictures."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.index import hold_lock
from studio.datasets.store import DatasetStore

Severity = Literal["stop", "warn", "hint"]
PARTS = {
    "pictures": {"pictures": ("Pictures", 40), "quality": ("Picture quality", 30), "captions": ("Captions", 30)},
    "pairs": {"pictures": ("Pairs", 40), "quality": ("Picture quality", 30), "captions": ("Instructions", 30)},
}


@dataclass(frozen=True)
class Action:
    """The one button of a finding. `kind`: remove, caption, add_trigger, open_captions, add_pictures or replace."""

    kind: str
    label: str
    picture_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """One thing that would make the data set better.

    `severity`: stop (training would fail on it), warn, hint. `part` and `points`: where and how much it costs of the score.
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
    """A bucket in px with the pictures that go into it."""

    width: int
    height: int
    cuts: list[Cut]


@dataclass(frozen=True)
class Part:
    """A part of the score."""

    key: str
    name: str
    points: float
    out_of: int


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `fingerprint` is that of the data set it was made from; `created` in seconds since 1970."""

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

    @property
    def ready(self) -> bool:
        """Whether training can start with these pictures."""
        return self.num_pictures > 0 and not any(f.severity == "stop" for f in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they stand in dataset_report.json."""
        value = asdict(self) | {"ready": self.ready}
        for name in ("findings", "ignored"):
            for finding, plain in zip(getattr(self, name), value[name], strict=True):
                plain["key"] = finding.key
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
) -> Report:
    """Scores the findings, leaves out what the person ignored, and puts into words what matters."""
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
        fingerprint=store.fingerprint(dataset_id),
        base_model=base_model,
        resolution=resolution,
        num_pictures=num_pictures,
        created=time.time(),
    )


def compute_score(findings: list[Finding]) -> int:
    """The score, 0 to 100, of a data set with pictures and these findings."""
    return round(sum(p.points for p in _score_parts(findings, empty=False)))


def _score_parts(findings: list[Finding], *, empty: bool, kind: str = "pictures") -> list[Part]:
    parts = []
    for key, (name, out_of) in PARTS[kind].items():
        lost = sum(f.points for f in findings if f.part == key)
        parts.append(Part(key, name, 0.0 if empty else round(max(0.0, out_of - lost), 1), out_of))
    return parts


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
    """Whether pictures, captions and trigger word are still those that the report was made from."""
    return report.fingerprint == store.fingerprint(dataset_id)


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
    plain["buckets"] = [BucketUse(b["width"], b["height"], [Cut(**c) for c in b["cuts"]]) for b in plain["buckets"]]
    plain["parts"] = [Part(**p) for p in plain["parts"]]
    return Report(**plain)
