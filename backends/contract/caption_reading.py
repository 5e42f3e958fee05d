"""How a caption is read each time that its picture is shown: as it is written, with its tags in another order, or left out.

The trainer reads captions by these functions, and the Captions page shows beforehand what it will read. A draw is a function of the
run's seed, the sample and how often it was shown before: not of batches, ranks or buckets, so that it can be told without them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from backends.contract.chance import draw_share, mix_seed

MOST_ORDERS = 64
"""Orders of one caption that may be encoded beforehand."""
_FEW = 5  # tags whose 120 orders are all looked at; of more, orders are drawn until there are enough


def split_tags(text: str) -> list[str]:
    """The parts of a caption between its commas, without the space around them."""
    return [tag for tag in (part.strip() for part in text.split(",")) if tag]


def has_word(text: str, word: str) -> bool:
    """Whether a word stands in a text as a word of its own, in any case of letters."""
    return bool(word) and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class TagOrders:
    """The orders in which the tags of captions are read.

    Args:
        keep: The first so many tags keep their place; a first tag with the trigger word keeps it always.
        most: Of each caption, among them the one as it is written; None for any order there is.
        word: The trigger word, or nothing.
    """

    keep: int
    most: int | None = None
    word: str = ""

    def count(self, caption: str) -> int:
        """In how many orders a caption may be read; 1 for one that stays as it is."""
        _, rest = self.part(caption)
        there = math.factorial(len(rest)) // math.prod(math.factorial(n) for n in Counter(rest).values())
        return there if self.most is None else min(there, self.most)

    def list_all(self, caption: str) -> tuple[str, ...]:
        """All of them, each once, the one as it is written first. They depend on the caption alone: what one run encoded serves others.

        Only where there are at `most` so many.
        """
        return _list_orders(self, caption)

    def pick(self, caption: str, number: int) -> str:
        """The caption in the order of a number of 63 bits; each order is that of as many numbers as any other."""
        kept, rest = self.part(caption)
        if len(rest) < 2:
            return caption
        if self.most is None:
            order = _shuffle(rest, number)
            return caption if order == rest else ", ".join([*kept, *order])
        orders = self.list_all(caption)
        return orders[number % len(orders)]

    def part(self, caption: str) -> tuple[list[str], list[str]]:
        """The tags that keep their place, and those that change it: none where fewer than two are left."""
        tags = split_tags(caption)
        keep = max(self.keep, int(bool(tags) and has_word(tags[0], self.word)))
        return (tags[:keep], tags[keep:]) if len(tags) >= keep + 2 else (tags, [])


@dataclass(frozen=True)
class Reading:
    """How a run reads its captions.

    Args:
        seed: The run's.
        dropout: How often a caption is left out, from 0 to 1.
        orders: The orders of its tags, or None for as it is written.
    """

    seed: int
    dropout: float = 0.0
    orders: TagOrders | None = None

    def read(self, caption: str, sample: str, visit: int) -> str:
        """What is read of a sample's caption when it was shown `visit` times before; nothing where it is left out."""
        if is_left_out(self.dropout, draw_drop(self.seed, sample, visit)):
            return ""
        return caption if self.orders is None else self.orders.pick(caption, draw_order(self.seed, sample, visit))


def name_samples(ids: Iterable[str]) -> list[str]:
    """The samples' names in draws: the ids of what they show, those that come again with their number behind."""
    seen: Counter[str] = Counter()
    names = []
    for one in ids:
        names.append(f"{one}+{seen[one]}" if seen[one] else one)
        seen[one] += 1
    return names


def draw_drop(seed: int, sample: str, visit: int) -> float:
    """From 0 to below 1: how lucky one showing of a sample is not to be told its words."""
    return draw_share(seed, "drop", sample, visit)


def draw_order(seed: int, sample: str, visit: int) -> int:
    """63 bits that decide in which order the tags are read at one showing of a sample."""
    return mix_seed(seed, "tags", sample, visit)


def is_left_out(share: float, drawn: float) -> bool:
    """Whether a caption that is left out as often as `share` says is left out at this draw."""
    return drawn < share


def _shuffle(tags: list[str], number: int) -> list[str]:
    """Sorted by hashes: the same everywhere, whatever the version of a random generator."""
    return [tags[i] for i in sorted(range(len(tags)), key=lambda i: mix_seed("tag", number, i))]


@lru_cache(maxsize=4096)
def _list_orders(how: TagOrders, caption: str) -> tuple[str, ...]:
    if how.most is None:
        raise ValueError("any order there is may come; they are not listed")
    kept, rest = how.part(caption)
    found, wanted = {tuple(rest): caption}, how.count(caption)
    for order in _propose(rest, caption, few=len(rest) <= _FEW):
        if len(found) == wanted:
            break
        found.setdefault(order, ", ".join([*kept, *order]))
    return tuple(found.values())


def _propose(tags: list[str], caption: str, *, few: bool) -> Iterator[tuple[str, ...]]:
    """Orders as if drawn by chance: of few, each once; of many, again and again."""
    if few:
        yield from sorted(set(itertools.permutations(tags)), key=lambda order: mix_seed("order", caption, *order))
        return
    for number in itertools.count():
        yield tuple(_shuffle(tags, mix_seed("order", caption, number)))
