"""What the rules of a check judge: pictures with their measures and their place in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from backends.contract.buckets import Placement
from studio.datasets.measure import Measures
from studio.datasets.report import Finding
from studio.datasets.rows import Picture
from studio.datasets.split import SHARE, Split, compute_split, join_groups
from studio.datasets.store import DatasetInfo
from studio.datasets.twins import Twins
from studio.datasets.twins_cache import find_known_twins

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
_NAMED = 4  # pictures that a button calls by their numbers
_UNMEASURED = Measures(0, 0, bytes(192), 1.0, 128.0, 50.0, 200.0)


@dataclass(frozen=True)
class Seen:
    """A picture whose file is whole, or a complete pair; `number` is its place in the data set, from 1.

    `measures` of a pair are those of the picture after, `before` those of the other one.
    """

    picture: Picture
    placement: Placement
    measures: Measures = _UNMEASURED
    number: int = 0
    before: Measures | None = None

    @property
    def enlargement(self) -> float:
        """How many times larger it must be made to fill its bucket; below 1 it is made smaller."""
        return self.placement.scaled_width / self.picture.width

    @property
    def lost(self) -> float:
        """Share of the picture that is cut away."""
        p = self.placement
        return 1 - (p.bucket.width * p.bucket.height) / (p.scaled_width * p.scaled_height)


@dataclass(frozen=True)
class Facts:
    """Everything about one data set that a rule may look at.

    `tokens`: by picture id, without start and end, of captions that may be too long. `halves`: pairs that lack a side, with
    their number. `scores`: by picture id, how well captions fit, 0 to 1, of those that were scored. `guesses`: by picture id, the
    captioner that guessed. `cache`: folder where twins that were found are kept. `share`: of the pictures that would judge a run.
    `tell`: is told how far the search for twins is, from 0 to 1; what it raises ends it. `rows`: all of the data set, where
    somebody has them in memory.
    """

    info: DatasetInfo
    seen: list[Seen]
    broken: dict[str, tuple[Picture, str]]
    resolution: int
    token_limit: int = 75
    tokens: dict[str, int] = field(default_factory=dict)
    tokens_exact: bool = True
    halves: list[tuple[int, Picture]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    guesses: dict[str, str] = field(default_factory=dict)
    cache: Path | None = None
    share: float = SHARE
    tell: Callable[[float], None] | None = None
    rows: Sequence[Picture] | None = None

    @cached_property
    def twins(self) -> list[Twins]:
        """Pictures that are alike, of pairs the pictures after; places in `seen`."""
        return self._find_twins("after", [s.measures for s in self.seen], [s.picture.sha256 for s in self.seen])

    @cached_property
    def twins_before(self) -> list[Twins]:
        """The same of the pictures before; none of single pictures."""
        befores = [s.picture.before for s in self.seen if s.picture.before is not None]
        return self._find_twins("before", [s.before for s in self.seen if s.before is not None], [b.sha256 for b in befores])

    @cached_property
    def kin(self) -> list[list[str]]:
        """Rows that must not stand on two sides of a split, by `Picture.content`: near copies, of pairs on either side.

        A pair that shows the way back of another (its before is the other's after) belongs to it too.
        """
        contents = [s.picture.content for s in self.seen]
        links = [[contents[i] for i in twins.positions] for twins in (*self.twins, *self.twins_before)]
        by_file: dict[str, list[str]] = {}
        for one, content in zip(self.seen, contents, strict=True):
            for image in (i for i in one.picture.images if i.sha256):
                by_file.setdefault(image.sha256, []).append(content)
        links += [rows for rows in by_file.values() if len(rows) > 1]
        return sorted(join_groups(list(dict.fromkeys(link)) for link in links))

    @cached_property
    def split(self) -> Split:
        """How a run would part them into those that teach and those that judge, by `Picture.content`."""
        rows = [s.picture for s in self.seen]
        inputs = [row.before.id for row in rows if row.before is not None]
        return compute_split([row.content for row in rows], self.share, inputs, self.kin, self.chosen)

    @property
    def chosen(self) -> list[str]:
        """Those that a person chose to judge, by `Picture.content`."""
        return [s.picture.content for s in self.seen if s.picture.judges]

    def _find_twins(self, side: str, measures: list[Measures], contents: list[str]) -> list[Twins]:
        place = self.cache / "twins" / f"{self.info.id}-{side}.json" if self.cache else None
        return find_known_twins(place, measures, contents, cut=self.info.kind == "pictures", tell=self.tell) if len(measures) > 1 else []

    @property
    def text_noun(self) -> str:
        """What the words of one row are called."""
        return "instruction" if self.info.kind == "pairs" else "caption"

    def count(self, number: int) -> str:
        """`One picture`, `Three pairs`, `41 pictures`."""
        return count_rows(number, "pair" if self.info.kind == "pairs" else "picture")

    @property
    def captioned(self) -> list[Seen]:
        """Pictures that have a caption."""
        return [s for s in self.seen if s.picture.text]

    def name(self, one: Seen) -> str:
        """`03`: how a picture is called on screen."""
        return self.frame(one.number)

    def frame(self, number: int) -> str:
        """`03`."""
        return frame_number(number, self.info.num_pictures)

    def names(self, some: Sequence[Seen], most: int = 4) -> str:
        """`03, 07 and 11`; `03, 07, 11 and 9 more`."""
        return self.frames([s.number for s in some], most)

    def removal(self, some: Sequence[Seen]) -> str:
        """What a button says that removes them: `Remove 03, 07 and 11`; `Remove 41 pictures`."""
        noun = "pairs" if self.info.kind == "pairs" else "pictures"
        return f"Remove {self.names(some)}" if len(some) <= _NAMED else f"Remove {len(some):,} {noun}"

    def frames(self, numbers: Sequence[int], most: int = 4) -> str:
        """The same for bare numbers."""
        return join_numbers(numbers, self.info.num_pictures, most)


def frame_number(number: int, total: int) -> str:
    """`03`, and among thousands `0003`: how a picture is called on screen."""
    return f"{number:0{max(2, len(str(total)))}d}"


def join_numbers(numbers: Sequence[int], total: int, most: int = 4) -> str:
    """`03, 07 and 11`; `03, 07, 11 and 9 more`."""
    shown = [frame_number(n, total) for n in numbers[:most]]
    if len(numbers) > most:
        shown.append(f"{len(numbers) - most:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


@dataclass(frozen=True)
class Rule:
    """One rule: what it finds, what is said when it finds nothing, and when that means something."""

    find: Callable[[Facts], list[Finding]]
    fine: str
    applies: Callable[[Facts], bool] = lambda facts: bool(facts.seen)


def count_rows(count: int, noun: str) -> str:
    """`One picture`, `Three pictures`, `41 pictures`."""
    number = _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"
    return f"{number} {noun}" + ("" if count == 1 else "s")


def share_points(count: int, total: int, weight: float, most: float) -> float:
    """Points that `count` of `total` pictures cost: `weight` for all of them, `most` at most."""
    return round(min(most, weight * count / max(1, total)), 2)
