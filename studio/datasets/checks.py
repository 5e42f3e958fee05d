"""The check of a data set before training: every rule once over pictures and captions, a score, three sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.contract.base_models import find_base_model
from backends.contract.buckets import Bucket, choose_bucket, compute_buckets, compute_placement
from backends.contract.errors import DarkroomError
from studio.datasets import caption_rules, pair_rules, picture_rules, sentences
from studio.datasets.facts import Facts, Seen
from studio.datasets.measure import Measures, measure_picture, read_measures, write_measures
from studio.datasets.pictures import PictureRefused, decode_picture
from studio.datasets.report import BucketUse, Cut, Finding, Report, build_report, with_sentences, write_report
from studio.datasets.rows import ImageFile, Picture, with_measured
from studio.datasets.store import DatasetStore
from studio.datasets.tokens import load_counter

__all__ = ["Finding", "Report", "check_dataset"]
DEFAULT_BASE = "pocket-sdxl"
Progress = Callable[[int, int], None]
RULES = {"pictures": (*picture_rules.RULES, *caption_rules.RULES), "pairs": pair_rules.RULES}


@dataclass(frozen=True)
class Target:
    """What the pictures are brought to: `resolution` in px, bucket sides in multiples of `step` px."""

    resolution: int
    step: int


def check_dataset(
    store: DatasetStore, dataset_id: str, resolution: int | None = None, base_model: str = DEFAULT_BASE, progress: Progress | None = None
) -> Report:
    """Checks every picture and caption, or pair and instruction, against what this base model trains on; writes dataset_report.json.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        resolution: Side in px that the training will use; None takes the base model's own.
        base_model: Key, folder or hub name.
        progress: Is told how many of how many pictures are done; what it raises ends the check.
    """
    target = _target(resolution, base_model)
    info = store.info(dataset_id)
    looked = _look_at_all(store, dataset_id, target, progress)
    seen = looked.seen
    counter = load_counter(base_model)
    facts = Facts(
        info=info,
        seen=seen,
        broken=looked.broken,
        halves=looked.halves,
        resolution=target.resolution,
        token_limit=counter.limit,
        tokens={s.picture.id: counter.count(s.picture.text) for s in seen if s.picture.text},
        tokens_exact=counter.exact,
    )
    findings, fine = [], []
    for rule in RULES[info.kind]:
        found = rule.find(facts)
        findings += found
        if not found and rule.applies(facts):
            fine.append(rule.fine)
    report = build_report(
        store, dataset_id, findings, fine=fine, buckets=_bucket_uses(seen), base_model=base_model, resolution=target.resolution
    )
    report = with_sentences(report, sentences.compute_sentences(report, facts))
    write_report(store, dataset_id, report)
    return report


def compute_bucket_preview(store: DatasetStore, dataset_id: str, base_model: str, resolution: int | None = None) -> list[BucketUse]:
    """How each picture would be cut for this base model, without looking into the files."""
    target = _target(resolution, base_model)
    buckets = compute_buckets(target.resolution, target.step)
    return _bucket_uses([_place(p, buckets) for p in store.pictures(dataset_id) if not p.missing])


def _target(resolution: int | None, base_model: str) -> Target:
    known = find_base_model(base_model)
    wanted = resolution or (known.resolution if known else 1024)
    step = known.bucket_step if known else 64
    if not 32 <= wanted <= 4096 or wanted % step:
        nearest = max(step, round(wanted / step) * step)
        raise DarkroomError(
            f"The resolution is {wanted} px; it must be a multiple of {step} from {step} to 4,096. Nearest: {nearest}.", field="resolution"
        )
    return Target(wanted, step)


@dataclass
class _Looked:
    """What was seen: whole rows with their measures, broken ones by id with the reason, and pairs that lack a side."""

    seen: list[Seen] = field(default_factory=list)
    broken: dict[str, tuple[Picture, str]] = field(default_factory=dict)
    halves: list[tuple[int, Picture]] = field(default_factory=list)


def _look_at_all(store: DatasetStore, dataset_id: str, target: Target, progress: Progress | None) -> _Looked:
    folder, cache = store.workspace.dataset(dataset_id), store.workspace.cache
    buckets = compute_buckets(target.resolution, target.step)
    looked, mended = _Looked(), dict[str, ImageFile]()
    pictures = store.pictures(dataset_id)
    for number, picture in enumerate(pictures, 1):
        try:
            images = [_verify(folder / image.file, image, cache) for image in picture.images]
            changed = {now.id: now for now, known in zip(images, picture.images, strict=True) if now is not known}
            mended |= changed
            measures = [_measure(folder / image.file, image, cache) for image in images]
            row = with_measured(picture, changed) if changed else picture
            if row.missing:
                looked.halves.append((number, row))
            else:
                before = measures[0] if row.before is not None else None
                looked.seen.append(replace(_place(row, buckets), measures=measures[-1], number=number, before=before))
        except PictureRefused as refusal:
            looked.broken[picture.id] = (picture, refusal.text)
        if progress:
            progress(number, len(pictures))
    if mended:
        with store.index(dataset_id).change() as rows:
            rows[:] = [with_measured(row, mended) for row in rows]
    return looked


def _verify(path: Path, image: ImageFile, cache: Path) -> ImageFile:
    """The image as its file is now. A file that is byte for byte as it was written has been decoded whole before."""
    try:
        data = path.read_bytes()
    except OSError:
        raise PictureRefused("Its file is gone. Remove the picture, or add it again.") from None
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 == image.sha256:
        return image
    decoded = decode_picture(data).image
    write_measures(cache, sha256, measure_picture(decoded))
    return replace(image, sha256=sha256, width=decoded.width, height=decoded.height)


def _measure(path: Path, image: ImageFile, cache: Path) -> Measures:
    """Its measures, taken again where the cache has none."""
    measures = read_measures(cache, image.sha256)
    if measures is None:
        measures = measure_picture(decode_picture(path.read_bytes()).image)
        write_measures(cache, image.sha256, measures)
    return measures


def _place(picture: Picture, buckets: list[Bucket]) -> Seen:
    bucket = choose_bucket(picture.width, picture.height, buckets)
    return Seen(picture, compute_placement(picture.width, picture.height, bucket))


def _bucket_uses(seen: list[Seen]) -> list[BucketUse]:
    by_bucket: dict[Bucket, list[Cut]] = {}
    for one in seen:
        p = one.placement
        cut = Cut(one.picture.id, p.scaled_width, p.scaled_height, p.left, p.top, round(one.lost, 4))
        by_bucket.setdefault(p.bucket, []).append(cut)
    uses = [BucketUse(b.width, b.height, cuts) for b, cuts in by_bucket.items()]
    return sorted(uses, key=lambda u: (-len(u.cuts), u.width))
