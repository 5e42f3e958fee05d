"""Shards as what a run learns from: a few samples are written out to judge it, all others are read in place, batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from backends.contract.buckets import Bucket, Placement, choose_bucket
from backends.contract.errors import DarkroomError
from backends.engine.pictures import place_item
from backends.engine.shards.index import find_chosen, find_mask, index_shard, open_index, read_words
from backends.engine.shards.member import Member
from backends.methods.protocol import Item, Row

MOST_HELD_OUT = 256
"""Samples that judge a run: a judgement asks about 96 at most, so that more would only wait."""


@dataclass(frozen=True)
class Choice:
    """Hashes of keys that part the samples: up to `judges` they judge, from there to `learnt` they are learnt from."""

    judges: int
    learnt: int


class ShardSet:
    """The training samples of a run's shards, by their number; nothing is kept of them but where they are.

    Args:
        shards: The tars.
        indexes: A file of `SAMPLE` of each.
        held_out_share: Of all samples that judge, at least one, at most `MOST_HELD_OUT`; 0 for none. Where a person chose some, none of
            these is learnt from, `MOST_HELD_OUT` of them judge at most, and the share says nothing.
        limit: Most training samples, or None for all.
    """

    def __init__(self, shards: list[Path], indexes: list[Path], *, held_out_share: float, limit: int | None) -> None:
        self._shards, self._indexes = shards, indexes
        self.num_chosen = sum(int(self._is_chosen(number).sum()) for number in range(len(shards)))
        share = 0.0 if self.num_chosen else held_out_share
        self._choice = choose(lambda: map(self._free_keys, range(len(shards))), share, limit)
        self.sizes = [int(self._is_learnt(number).sum()) for number in range(len(shards))]
        self._ends = np.cumsum(self.sizes)

    def __len__(self) -> int:
        """Training samples of all shards."""
        return int(self._ends[-1])

    def row(self, number: int) -> Row:
        """A training sample; its pictures are members of their shard."""
        shard = int(np.searchsorted(self._ends, number, side="right"))
        first = int(self._ends[shard]) - self.sizes[shard]
        return self._row(shard, int(self._learnt_rows(shard)[number - first]), held_out=False)

    def held_out_rows(self) -> list[Row]:
        """The samples that judge."""
        found = []
        most = self._last_chosen() if self.num_chosen else self._choice.judges
        for shard in range(len(self._shards)) if most >= 0 else ():
            judges = self._keys(shard) <= np.uint64(most)
            rows = np.flatnonzero(judges & self._is_chosen(shard) if self.num_chosen else judges)
            found += [self._row(shard, int(row), held_out=True) for row in rows]
        return found

    def _last_chosen(self) -> int:
        """The largest hash of those of the chosen samples that judge."""
        least = np.zeros(0, np.uint64)
        for shard in range(len(self._shards)):
            least = np.sort(np.concatenate([least, self._keys(shard)[self._is_chosen(shard)]]))[:MOST_HELD_OUT]
        return int(least[-1])

    def sizes_px(self, shard: int) -> list[tuple[int, int]]:
        """Width and height of each training sample of a shard."""
        samples = open_index(self._indexes[shard])[self._learnt_rows(shard)]
        return list(zip(samples["width"].tolist(), samples["height"].tolist(), strict=True))

    @property
    def have_masks(self) -> bool:
        """Whether a sample has a mask."""
        return any("mask_size" in (open_index(index).dtype.names or ()) for index in self._indexes)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a shard, a sample or who judges does."""
        digest = hashlib.sha256(f"{self._choice}".encode())
        for index in self._indexes:
            digest.update(open_index(index).tobytes())
        return digest.hexdigest()

    def _keys(self, shard: int) -> np.ndarray:
        return np.asarray(open_index(self._indexes[shard])["key"])

    def _free_keys(self, shard: int) -> np.ndarray:
        """Those of samples that nobody chose."""
        return self._keys(shard)[~self._is_chosen(shard)] if self.num_chosen else self._keys(shard)

    def _is_chosen(self, shard: int) -> np.ndarray:
        return find_chosen(open_index(self._indexes[shard]))

    def _is_learnt(self, shard: int) -> np.ndarray:
        keys = self._keys(shard)
        above = keys > np.uint64(self._choice.judges) if self._choice.judges >= 0 else np.ones(len(keys), bool)
        learnt = above & (keys <= np.uint64(self._choice.learnt))
        return learnt & ~self._is_chosen(shard) if self.num_chosen else learnt

    @lru_cache(maxsize=16)  # noqa: B019 - there is one set a run
    def _learnt_rows(self, shard: int) -> np.ndarray:
        return np.flatnonzero(self._is_learnt(shard))

    def _row(self, shard: int, row: int, *, held_out: bool) -> Row:
        path, sample = self._shards[shard], open_index(self._indexes[shard])[row]
        name = f"{sample['key']:016x}"
        extra: dict[str, Any] = {}
        if sample["before_size"]:
            extra = {"input_file": Member(path, int(sample["before_at"]), int(sample["before_size"]), f"{name} before")}
        mask = find_mask(path, sample, f"{name} mask")
        if mask is not None:
            extra = {"mask_file": mask}
        return Row(
            id=name,
            file=Member(path, int(sample["picture_at"]), int(sample["picture_size"]), name),
            caption=read_words(path, sample),
            width=int(sample["width"]),
            height=int(sample["height"]),
            held_out=held_out,
            extra=extra,
        )


def choose(keys: Callable[[], Iterable[np.ndarray]], held_out_share: float, limit: int | None) -> Choice:
    """Who judges and who is learnt from: the samples with the smallest hashes judge, the next ones are learnt from.

    Args:
        keys: The hashes of one shard after the other, from the first whenever it is called.
        held_out_share: Of all samples that judge.
        limit: Most samples that are learnt from, or None for all.
    """
    total = sum(map(len, keys()))
    judging = min(MOST_HELD_OUT, max(1, round(held_out_share * total))) if held_out_share > 0 and total > 1 else 0
    most = total if limit is None else judging + limit
    wanted = most if most < total else judging
    least = np.zeros(0, np.uint64)
    for part in keys():
        least = np.sort(np.concatenate([least, part]))[:wanted]  # as many are in memory as are wanted
    return Choice(int(least[judging - 1]) if judging else -1, int(least[most - 1]) if most < total else 2**64 - 1)


class StreamedItems(Sequence[Item]):
    """The training samples as a method sees them, each made when it is asked for."""

    def __init__(self, samples: ShardSet, build: Callable[[Sequence[Row]], list[Item]]) -> None:
        self._samples, self._build = samples, build

    def __len__(self) -> int:
        """How many."""
        return len(self._samples)

    @overload
    def __getitem__(self, number: int) -> Item: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Item]: ...
    def __getitem__(self, number: int | slice) -> Item | Sequence[Item]:
        """One sample; parts of all are not to be had."""
        if isinstance(number, slice):
            raise TypeError("samples of shards come one at a time")
        return self._make(number)

    @lru_cache(maxsize=512)  # noqa: B019 - a batch asks for each of its samples several times
    def _make(self, number: int) -> Item:
        return self._build([self._samples.row(number)])[0]


class StreamedPlacements(Sequence[dict[str, Placement]]):
    """How each picture of each training sample is brought to its bucket, likewise."""

    def __init__(self, items: StreamedItems, buckets: list[Bucket]) -> None:
        self._items, self._buckets = items, buckets

    def __len__(self) -> int:
        """How many."""
        return len(self._items)

    @overload
    def __getitem__(self, number: int) -> dict[str, Placement]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[dict[str, Placement]]: ...
    def __getitem__(self, number: int | slice) -> dict[str, Placement] | Sequence[dict[str, Placement]]:
        """One sample's; parts of all are not to be had."""
        if isinstance(number, slice):
            raise TypeError("samples of shards come one at a time")
        return place_item(self._items[number], self._buckets)


class BucketedShards:
    """What `ShardOrder` asks about shards."""

    def __init__(self, samples: ShardSet, buckets: list[Bucket]) -> None:
        self._samples, self._buckets = samples, buckets
        self._known: dict[tuple[int, int], Bucket] = {}

    @property
    def sizes(self) -> Sequence[int]:
        """Training samples of each shard."""
        return self._samples.sizes

    def groups(self, shard: int) -> Sequence[Hashable]:
        """The bucket of each training sample of a shard."""
        return [self._bucket(size) for size in self._samples.sizes_px(shard)]

    def _bucket(self, size: tuple[int, int]) -> Bucket:
        if size not in self._known:
            self._known[size] = choose_bucket(*size, self._buckets)
        return self._known[size]


def open_shards(
    shards: list[Path], cache: Path, *, pairs: bool, held_out_share: float, limit: int | None, share: dict[str, Any]
) -> ShardSet:
    """The samples of shards, found where they were not yet; `share` has what `fill_cache` needs to know of the ranks.

    Raises:
        DarkroomError: When a shard is damaged, or all its samples would judge.
    """
    for done, shard in enumerate(shards[share["rank"] :: share["ranks"]], 1):
        index_shard(shard, cache, pairs=pairs)
        share["on_done"](min(len(shards), done * share["ranks"]), len(shards))
    share["wait"]()
    found = ShardSet(shards, [index_shard(s, cache, pairs=pairs) for s in shards], held_out_share=held_out_share, limit=limit)
    if not len(found):
        raise DarkroomError(
            f"The {len(shards)} shards in {shards[0].parent} have no sample to train on. Add samples, or lower Held out."
            + (f" {found.num_chosen:,} of them were chosen to judge; let some teach." if found.num_chosen else ""),
            field="train_data_dir",
        )
    return found
