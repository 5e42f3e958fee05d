"""One data set in two: a share of its rows by chance, or those that a person describes. Near copies stay on one side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random

from backends.contract.errors import DarkroomError
from studio.datasets.measure import Measures
from studio.datasets.measure_cache import read_measures
from studio.datasets.merging import build_dataset
from studio.datasets.rows import Picture
from studio.datasets.split import join_groups
from studio.datasets.store import DatasetInfo, DatasetStore
from studio.datasets.twins import find_twins
from studio.datasets.watch import Watch

_PART = 500


@dataclass(frozen=True)
class Cut:
    """Which rows go to the second data set: a share from 0 to 1 by chance, or (all that is given must hold) those that say `text`,
    that have no words, or whose shorter side is below `smaller_px`.
    """

    share: float | None = None
    text: str = ""
    silent: bool = False
    smaller_px: int = 0
    seed: int = 0

    @property
    def describes(self) -> bool:
        """Whether rows are described rather than drawn."""
        return bool(self.text.strip() or self.silent or self.smaller_px)

    def fits(self, row: Picture) -> bool:
        """Whether the row is one of those that are described."""
        return (
            (not self.text.strip() or self.text.strip().casefold() in row.text.casefold())
            and (not self.silent or not row.text.strip())
            and (not self.smaller_px or min(row.width, row.height) < self.smaller_px)
        )


@dataclass(frozen=True)
class Divided:
    """Both data sets; `together` rows went with a near copy, of `unknown` rows nobody knows whether they have one."""

    rest: DatasetInfo
    taken: DatasetInfo
    together: int
    unknown: int

    def sentence(self) -> str:
        """What happened, in words."""
        noun = "pair" if self.rest.kind == "pairs" else "picture"
        said = [
            f"“{self.rest.name}” has {_count(self.rest.num_pictures, noun)}, “{self.taken.name}” {_count(self.taken.num_pictures, noun)}. "
            "The first data set stays as it was."
        ]
        if self.together:
            said.append(f"{_count(self.together, noun)} went with a near copy, so that none is on both sides.")
        if self.unknown:
            has = "has" if self.unknown == 1 else "have"
            said.append(
                f"{_count(self.unknown, noun)} {has} not been looked at: check the data set first, then split again, "
                "to keep their near copies on one side."
            )
        return " ".join(said)


def split_dataset(
    store: DatasetStore, dataset_id: str, cut: Cut, *, names: tuple[str, str] = ("", ""), watch: Watch | None = None
) -> Divided:
    """Makes two data sets of one, which stays: those rows that `cut` does not take, and those that it does.

    Near copies (as the check finds them) are never on both sides where the rows have been measured. What a list names and has not come
    stays with the first ones.

    Raises:
        DarkroomError: When the cut says nothing, or one side would be empty.
        Stopped: When `watch` says so; nothing has happened then.
    """
    info, watch = store.info(dataset_id), watch or Watch()
    if (cut.share is None) == (not cut.describes):
        raise DarkroomError("Give either a share, such as 0.2, or say which ones: by their words, that they have none, or by their size.")
    if cut.share is not None and not 0 < cut.share < 1:
        raise DarkroomError(f"The share is {cut.share:g}; it must lie between 0 and 1, such as 0.2 for a fifth.", field="share")
    if info.num_pictures < 2:
        raise DarkroomError(f"“{info.name}” has {info.num_pictures} rows; two are the fewest that can be split.")
    groups, unknown = find_groups(store, dataset_id, watch)
    if cut.share is not None:
        taken, together = _draw(store, dataset_id, groups, cut)
    else:
        taken, together = _describe(store, dataset_id, groups, cut)
    if not 0 < len(taken) < info.num_pictures:
        raise DarkroomError(_explain_empty(info, len(taken), cut))
    share = f"{len(taken) / info.num_pictures:.0%}"
    own = names[0] or f"{info.name[:70]} (rest)", names[1] or f"{info.name[:70]} ({share if cut.share is not None else 'part'})"
    rest, _ = build_dataset(store, own[0], [(dataset_id, lambda row: row.id not in taken)], watch)
    try:
        part, _ = build_dataset(store, own[1], [(dataset_id, lambda row: row.id in taken)], watch)
    except BaseException:
        store.delete(rest.id)
        raise
    return Divided(rest, part, together, unknown)


def find_groups(store: DatasetStore, dataset_id: str, watch: Watch | None = None) -> tuple[dict[str, int], int]:
    """Row id -> number of its group of near copies, of rows that have one; and how many rows nobody has measured yet.

    Pictures are near copies as the check says; pairs where both sides are, or where one side is one and the same picture: many edits
    may begin with it.
    """
    watch = watch or Watch()
    watch.begin("Looking for near copies", store.info(dataset_id).num_pictures, "row")
    sides: list[_Seen] = [_Seen(), _Seen()]
    unknown = 0
    for part in _in_parts(watch.counted(store.index(dataset_id).rows())):
        known = read_measures(store.workspace.cache, [image.sha256 for row in part for image in row.images])
        for row in part:
            unknown += any(image.sha256 not in known for image in row.images)
            for seen, image in zip(sides if row.missing != "before" else sides[1:], row.images, strict=False):
                if image.sha256 in known:
                    seen.owners.append(row.id)
                    seen.contents.append(image.sha256)
                    seen.measures.append(known[image.sha256])
    watch.require_going()
    watch.begin("Comparing each with each")
    before, after = (seen.alike() for seen in sides)
    keyed = [(row_id, content) for seen in sides for row_id, content in zip(seen.owners, seen.contents, strict=True)]
    keyed += [(row_id, f"{group}>{after.get(row_id)}") for row_id, group in before.items() if row_id in after or not sides[1].owners]
    links: dict[str, list[str]] = {}
    for row_id, key in keyed:
        links.setdefault(key, []).append(row_id)
    groups = join_groups(list(dict.fromkeys(link)) for link in links.values())
    return {row_id: number for number, group in enumerate(groups) for row_id in group}, unknown


@dataclass
class _Seen:
    """Images of one side with the rows that they stand in."""

    owners: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)

    def alike(self) -> dict[str, int]:
        """Row id -> number of the group of pictures that its own is alike to."""
        twins = find_twins(self.measures, self.contents, cut=True)
        return {self.owners[position]: number for number, one in enumerate(twins) for position in one.positions}


def _in_parts(rows: Iterator[Picture]) -> Iterator[list[Picture]]:
    while part := list(islice(rows, _PART)):
        yield part


def _draw(store: DatasetStore, dataset_id: str, groups: dict[str, int], cut: Cut) -> tuple[set[str], int]:
    """Whole groups by chance, the same ones for the same seed, as many as come closest to the share."""
    members: dict[str | int, list[str]] = {}
    for row in store.index(dataset_id).rows():
        members.setdefault(groups.get(row.id, row.id), []).append(row.id)
    order = list(members.values())
    Random(cut.seed).shuffle(order)
    wanted = max(1, round((cut.share or 0) * sum(map(len, order))))
    taken: set[str] = set()
    for group in order:
        if len(taken) + len(group) <= wanted:
            taken.update(group)
    if not taken:  # every group is larger than the share
        smallest: list[str] = min(order, key=len)
        taken.update(smallest)
    return taken, sum(len(group) for group in order if len(group) > 1 and group[0] in taken)


def _describe(store: DatasetStore, dataset_id: str, groups: dict[str, int], cut: Cut) -> tuple[set[str], int]:
    """Those that are described, and the near copies of them."""
    fitting = {row.id for row in store.index(dataset_id).rows() if cut.fits(row)}
    along = {groups[row_id] for row_id in fitting if row_id in groups}
    taken = fitting | {row_id for row_id, group in groups.items() if group in along}
    return taken, len(taken) - len(fitting)


def _explain_empty(info: DatasetInfo, taken: int, cut: Cut) -> str:
    noun = "pairs" if info.kind == "pairs" else "pictures"
    if cut.share is not None:
        return f"All {info.num_pictures:,} {noun} are near copies of each other, which belong on one side. Add others, or split by words."
    if taken:
        return f"All {info.num_pictures:,} {noun} are meant, with their near copies. Describe fewer of them."
    return f"None of the {info.num_pictures:,} {noun} is meant. Describe others: words are looked for in captions as they stand."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
