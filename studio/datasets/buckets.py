"""Into which bucket each picture will come for a resolution: counted by the table, placed by the trainer's own code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backends.contract.buckets import Bucket, Placement, choose_bucket, compute_buckets, compute_placement
from studio.datasets.checks import Target
from studio.datasets.store import DatasetStore

ENLARGED = 1.15  # times; from here on the check calls a picture small
STAYS_WHOLE = 0.005  # share of a picture; what is less is not seen


@dataclass(frozen=True)
class Example:
    """One picture of a bucket: its row, the id of what is shown of it, its size in px, and how it comes into the bucket."""

    id: str
    image: str
    width: int
    height: int
    placement: Placement
    lost: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for the page."""
        p = self.placement
        placed = {"scaled_width": p.scaled_width, "scaled_height": p.scaled_height, "left": p.left, "top": p.top}
        return {"picture_id": self.id, "img": self.image, "width": self.width, "height": self.height, "lost": round(self.lost, 4), **placed}


@dataclass
class BucketLine:
    """A bucket in px: how many come into it, how many lose an edge, how many are made larger by more than 1.15 times."""

    width: int
    height: int
    count: int = 0
    cut: int = 0
    enlarged: int = 0
    most_enlarged: float = 0.0
    examples: list[Example] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `most_enlarged` is how many times the smallest picture is made larger, below 1 where all are made smaller."""
        numbers = {"width": self.width, "height": self.height, "count": self.count, "cut": self.cut, "enlarged": self.enlarged}
        return {**numbers, "most_enlarged": round(self.most_enlarged, 3), "examples": [one.to_json() for one in self.examples]}


def count_buckets(store: DatasetStore, dataset_id: str, target: Target, *, square: bool = False, examples: int = 0) -> list[BucketLine]:
    """The buckets that a training at this resolution would fill, the fullest first. Excluded rows and halves of pairs are left out.

    Each size is placed once, however many pictures have it: fifty thousand pictures cost one grouped query.

    Args:
        store: Where the data set lies.
        dataset_id: Which one.
        target: Resolution, and the step of the base model.
        square: Whether every picture is cut to the square one.
        examples: So many of the first pictures of each bucket are named.
    """
    store.workspace.dataset(dataset_id)
    buckets = list_buckets(target, square=square)
    places: dict[tuple[int, int], Placement] = {}
    lines: dict[Bucket, BucketLine] = {}
    index = store.index(dataset_id)
    for width, height, count in index.count_sizes():
        placement = compute_placement(width, height, choose_bucket(width, height, buckets))
        places[width, height] = placement
        line = lines.setdefault(placement.bucket, BucketLine(placement.bucket.width, placement.bucket.height))
        larger = placement.scaled_width / width
        line.count += count
        line.cut += count * (compute_lost(placement) >= STAYS_WHOLE)
        line.enlarged += count * (larger > ENLARGED)
        line.most_enlarged = max(line.most_enlarged, larger)
    wanted = sum(min(examples, line.count) for line in lines.values())
    for row_id, image, width, height in index.training_faces() if wanted else ():
        found = places.get((width, height))
        if found is not None and len(lines[found.bucket].examples) < examples:
            lines[found.bucket].examples.append(Example(row_id, image, width, height, found, compute_lost(found)))
            wanted -= 1
        if not wanted:
            break
    return sorted(lines.values(), key=lambda line: (-line.count, line.width))


def list_buckets(target: Target, *, square: bool = False) -> list[Bucket]:
    """The buckets of a training, as its trainer lists them."""
    return [Bucket(target.resolution, target.resolution)] if square else compute_buckets(target.resolution, target.step)


def compute_lost(placement: Placement) -> float:
    """The share of the picture that is cut away, 0 to 1."""
    kept = placement.bucket.width * placement.bucket.height
    return 1 - kept / (placement.scaled_width * placement.scaled_height)
