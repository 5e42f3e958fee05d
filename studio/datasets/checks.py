"""The check of a data set before training: every rule once over pictures and captions, a score, three sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as remember
from functools import partial
from itertools import islice
from pathlib import Path

from backends.contract.base_models import find_base_model
from backends.contract.buckets import Bucket, Placement, choose_bucket, compute_buckets, compute_placement
from backends.contract.errors import DarkroomError
from studio.datasets import caption_rules, fit_rules, pair_rules, picture_rules, sentences
from studio.datasets.caption_notes import read_guesses, read_scores
from studio.datasets.crew import work_through
from studio.datasets.facts import Facts, Seen
from studio.datasets.look import Asked, Look, look_at, take_all_known
from studio.datasets.measure import Measures
from studio.datasets.measure_cache import read_measures, write_measures
from studio.datasets.report import SHOWN_CUTS, WHOLE, BucketUse, Cut, Finding, Report, build_report, with_sentences, write_report
from studio.datasets.rows import ImageFile, Picture, with_measured
from studio.datasets.store import DatasetStore
from studio.datasets.tokens import load_counter

__all__ = ["Finding", "Report", "check_dataset"]
_PART = 500
DEFAULT_BASE = "pocket-sdxl"
Progress = Callable[[int, int], None]
RULES = {"pictures": (*picture_rules.RULES, *caption_rules.RULES, *fit_rules.RULES), "pairs": pair_rules.RULES}


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
    facts = gather_facts(store, dataset_id, find_target(resolution, base_model), base_model, progress=progress)
    report = judge(store, facts, base_model)
    write_report(store, dataset_id, report)
    return report


def gather_known_facts(
    store: DatasetStore,
    dataset_id: str,
    resolution: int | None,
    base_model: str,
    share: float,
    rows: Sequence[Picture] | None = None,
    progress: Progress | None = None,
) -> Facts:
    """What a check looks at, by what was measured before: no file is opened that was measured once. Takes what `check_dataset` takes.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        resolution: Side in px; None, and one that does not fit the base model, stand for the base model's own.
        base_model: Key, folder or hub name.
        share: Of the pictures that judge the run.
        rows: All of the data set, where somebody has them already.
        progress: As for `check_dataset`.
    """
    try:
        target = find_target(resolution, base_model)
    except DarkroomError:  # a run may train at other sides than those that the check knows
        target = find_target(None, base_model)
    return replace(gather_facts(store, dataset_id, target, base_model, known=True, rows=rows, progress=progress), share=share)


def gather_facts(
    store: DatasetStore,
    dataset_id: str,
    target: Target,
    base_model: str,
    *,
    known: bool = False,
    progress: Progress | None = None,
    rows: Sequence[Picture] | None = None,
) -> Facts:
    """Looks at all rows. `known` trusts files whose measures are known; without it each is read and compared with its hash."""
    info = store.info(dataset_id)
    looked = _look_at_all(store, dataset_id, target, progress, known=known, rows=rows)
    counter = load_counter(base_model)
    long = (s.picture for s in looked.seen if counter.may_exceed(s.picture.text))
    return Facts(
        info=info,
        seen=looked.seen,
        broken=looked.broken,
        halves=looked.halves,
        resolution=target.resolution,
        token_limit=counter.limit,
        tokens={picture.id: counter.count(picture.text) for picture in long},
        tokens_exact=counter.exact,
        cache=store.workspace.cache,
        rows=rows,
        scores={row_id: score.value for row_id, score in read_scores(store.index(dataset_id)).items()},
        guesses=read_guesses(store.index(dataset_id)),
    )


def judge(store: DatasetStore, facts: Facts, base_model: str) -> Report:
    """The report on these facts; nothing is written."""
    findings, fine = [], []
    for rule in RULES[facts.info.kind]:
        found = rule.find(facts)
        findings += found
        if not found and rule.applies(facts):
            fine.append(rule.fine)
    row_of = {s.picture.content: s.picture.id for s in facts.seen}
    report = build_report(
        store,
        facts.info.id,
        findings,
        fine=fine,
        buckets=_bucket_uses(facts.seen),
        base_model=base_model,
        resolution=facts.resolution,
        split=facts.split.renamed(row_of),
    )
    report = replace(report, fingerprint=store.fingerprint(facts.info.id, facts.rows))
    return with_sentences(report, sentences.compute_sentences(report, facts))


def compute_bucket_preview(store: DatasetStore, dataset_id: str, base_model: str, resolution: int | None = None) -> list[BucketUse]:
    """How each picture would be cut for this base model, without looking into the files."""
    target = find_target(resolution, base_model)
    place = placing(compute_buckets(target.resolution, target.step))
    return _bucket_uses([Seen(p, place(p.width, p.height)) for p in store.training_pictures(dataset_id) if not p.missing])


def list_cuts(store: DatasetStore, dataset_id: str, report: Report, bucket: tuple[int, int], offset: int, limit: int) -> list[Cut]:
    """How the pictures of one bucket of this report come into it, from `offset` on, at most `limit`; no file is opened."""
    buckets = compute_buckets(report.resolution, find_target(report.resolution, report.base_model).step)
    rows = (p for p in store.index(dataset_id).rows() if not p.missing and not p.excluded)
    inside = (p for p in rows if choose_bucket(p.width, p.height, buckets) == Bucket(*bucket))
    place = placing(buckets)
    return [describe_cut(Seen(p, place(p.width, p.height))) for p in islice(inside, offset, offset + limit)]


def find_target(resolution: int | None, base_model: str) -> Target:
    """What pictures are brought to for this base model.

    Raises:
        DarkroomError: When the resolution is no multiple of its step from 32 to 4,096 px.
    """
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


def _look_at_all(
    store: DatasetStore, dataset_id: str, target: Target, progress: Progress | None, *, known: bool, rows: Sequence[Picture] | None = None
) -> _Looked:
    folder, cache, index = store.workspace.dataset(dataset_id), store.workspace.cache, store.index(dataset_id)
    place = placing(compute_buckets(target.resolution, target.step))
    looked, mended, new = _Looked(), dict[str, ImageFile](), dict[str, Measures]()
    total = index.numbers().rows
    asked = _read_asked(index.rows() if rows is None else iter(rows), cache)
    results = take_all_known(folder, asked) if known else work_through(partial(look_at, folder), asked, total, _say_crashed)
    try:
        for number, one in enumerate(results, 1):
            mended |= one.changed
            new |= one.measured
            row = with_measured(one.row, one.changed) if one.changed else one.row
            if one.row.excluded:
                pass
            elif one.refusal:
                looked.broken[one.row.id] = (one.row, one.refusal)
            elif row.missing:
                looked.halves.append((number, row))
            else:
                before = one.measures[0] if row.before is not None else None
                looked.seen.append(Seen(row, place(row.width, row.height), one.measures[-1], number, before))
            if len(new) >= _PART:
                write_measures(cache, new)
                new.clear()
            if progress:
                progress(number, max(number, total))
    finally:
        results.close()
        write_measures(cache, new)
    if mended:
        with index.change() as changes:
            for row in {row.id: row for image_id in mended for row in changes.with_image(image_id)}.values():
                changes.put(with_measured(row, mended))
    return looked


def _read_asked(rows: Iterator[Picture], cache: Path) -> Iterator[Asked]:
    while part := list(islice(rows, _PART)):
        known = read_measures(cache, [image.sha256 for row in part for image in row.images])
        yield from (Asked(row, tuple(known.get(image.sha256) for image in row.images)) for row in part)


def _say_crashed(asked: Asked) -> Look:
    return Look(asked.row, (), refusal="Its file brought the decoder down: it is damaged. Remove the picture, or add it again.")


def placing(buckets: list[Bucket]) -> Callable[[int, int], Placement]:
    """How a picture of a width and a height in px comes into its bucket; each size is worked out once."""

    @remember
    def place(width: int, height: int) -> Placement:
        return compute_placement(width, height, choose_bucket(width, height, buckets))

    return place


def _bucket_uses(seen: list[Seen]) -> list[BucketUse]:
    counts, whole, cuts = Counter[Bucket](), Counter[Bucket](), dict[Bucket, list[Cut]]()
    for one in seen:
        bucket = one.placement.bucket
        counts[bucket] += 1
        whole[bucket] += one.lost < WHOLE
        if counts[bucket] <= SHOWN_CUTS:
            cuts.setdefault(bucket, []).append(describe_cut(one))
    uses = [BucketUse(b.width, b.height, cuts[b], count, whole[b]) for b, count in counts.items()]
    return sorted(uses, key=lambda u: (-u.count, u.width))


def describe_cut(one: Seen) -> Cut:
    """How one picture comes into its bucket."""
    p = one.placement
    return Cut(one.picture.id, p.scaled_width, p.scaled_height, p.left, p.top, round(one.lost, 4))
