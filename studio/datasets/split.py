"""Which pictures judge a run, and that none of them is learnt from in a near copy: groups of copies stay on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

SHARE = 0.1  # of the pictures that judge, unless the settings say otherwise


@dataclass(frozen=True)
class Leak:
    """A picture that judges, and the near copies of it that teach; ids."""

    judge: str
    teachers: list[str]


@dataclass(frozen=True)
class Split:
    """How the pictures part: how many teach and judge, groups of near copies of which no part was cut off, and what leaks.

    Of those that judge, a person chose `chosen`; where that is any, the others are `along`: they belong to a chosen one. Else hashes
    chose.
    """

    training: int = 0
    held_out: int = 0
    together: list[list[str]] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    chosen: int = 0
    along: list[str] = field(default_factory=list)

    def say_chosen(self) -> str:
        """Who chose those that judge: `chosen by you`, `3 chosen by you and 2 near copies of them`; nothing where hashes did."""
        if not self.chosen:
            return ""
        if not self.along:
            return "chosen by you"
        near = "1 near copy" if len(self.along) == 1 else f"{len(self.along):,} near copies"
        return f"{self.chosen:,} chosen by you and {near} of {'it' if self.chosen == 1 else 'them'}"

    def renamed(self, names: Mapping[str, str]) -> Split:
        """The same with other ids, such as those of rows in place of their content's."""
        leaks = [Leak(names[leak.judge], [names[i] for i in leak.teachers]) for leak in self.leaks]
        along = [names[i] for i in self.along]
        return replace(self, together=[[names[i] for i in group] for group in self.together], leaks=leaks, along=along)


def count_held_out(num_pictures: int, share: float) -> int:
    """How many pictures judge the run: the share of all, at least one, and never the last one left to train on."""
    if share <= 0 or num_pictures < 2:
        return 0
    return min(num_pictures - 1, max(1, round(num_pictures * share)))


def choose_held_out(
    picture_ids: Sequence[str], share: float, inputs: Sequence[str] = (), kin: Iterable[Collection[str]] = (), chosen: Collection[str] = ()
) -> set[str]:
    """Ids of the pictures held out: the same for the same pictures, whatever their order and the run's seed.

    So the held-out losses of several runs over one data set can be compared. What belongs together stays on one side: a
    picture that is learnt in a near copy judges nothing. Where no group is small enough for the share, the smallest is held
    out whole, as long as half of the pictures remain; where all pictures are near copies of each other, they are parted.
    Where a person chose, these judge with all that belongs to them, however many, and the share says nothing.

    Args:
        picture_ids: Of all pictures, or pairs.
        share: Of them that judge.
        inputs: Of edit pairs the picture before, in the same order. Pairs that share one belong together.
        kin: Groups of ids of near copies; ids that are not among the pictures are passed over.
        chosen: Ids that a person chose to judge, likewise.
    """
    ranked = sorted(set(picture_ids))  # ids are hashes of the content: as good as drawn at random
    wanted = set(ranked).intersection(chosen)
    if wanted:
        return set().union(*(group for group in _group(picture_ids, inputs or picture_ids, kin) if wanted & group))
    count = count_held_out(len(ranked), share)
    if not count:
        return set()
    groups = _group(picture_ids, inputs or picture_ids, kin)
    found: set[str] = set()
    for group in groups:
        if len(found) + len(group) <= count:
            found |= group
    if found:
        return found
    smallest = min(groups, key=len)
    return smallest if 2 * len(smallest) <= len(ranked) else set(ranked[:count])


def find_leaks(held_out: Collection[str], kin: Iterable[Collection[str]]) -> list[Leak]:
    """Pictures that judge although a near copy of them teaches; of a group that is parted, each of its judges."""
    found = []
    for group in kin:
        judges, teachers = [i for i in group if i in held_out], [i for i in group if i not in held_out]
        if teachers:
            found += [Leak(judge, teachers) for judge in judges]
    return found


def compute_split(
    picture_ids: Sequence[str], share: float, inputs: Sequence[str], kin: Sequence[Collection[str]], chosen: Collection[str] = ()
) -> Split:
    """The split of a run over these pictures, with what was kept together and what leaks (see `choose_held_out`)."""
    held_out = choose_held_out(picture_ids, share, inputs, kin, chosen)
    leaks = find_leaks(held_out, kin)
    parted = {leak.judge for leak in leaks}
    together = [sorted(group) for group in kin if not parted & set(group)]
    asked = held_out.intersection(chosen)
    along = sorted(held_out - asked) if asked else []
    return Split(len(set(picture_ids)) - len(held_out), len(held_out), together, leaks, len(asked), along)


def join_groups(links: Iterable[Sequence[str]]) -> list[list[str]]:
    """Ids that hang together over any number of links, each link a group of them; groups of one are left out."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for link in links:
        for other in link[1:]:
            parent[root(other)] = root(link[0])
    groups: dict[str, list[str]] = {}
    for one in list(parent):
        groups.setdefault(root(one), []).append(one)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _group(picture_ids: Sequence[str], inputs: Sequence[str], kin: Iterable[Collection[str]]) -> list[set[str]]:
    """All ids in groups, in an order that the ids alone decide."""
    input_of = dict(zip(picture_ids, inputs, strict=True))
    by_input: dict[str, list[str]] = {}
    for one, before in input_of.items():
        by_input.setdefault(before, []).append(one)
    links = [*by_input.values(), *([i for i in group if i in input_of] for group in kin)]
    joined = join_groups(link for link in links if len(link) > 1)
    seen = {one for group in joined for one in group}
    groups = [set(group) for group in joined] + [{one} for one in input_of if one not in seen]

    def rank(group: set[str]) -> str:
        befores = sorted({input_of[one] for one in group})
        return befores[0] if len(befores) == 1 else hashlib.sha256(" ".join(befores).encode()).hexdigest()

    return sorted(groups, key=rank)
