"""Aspect buckets: the few sizes that pictures are brought to, so that a batch has one shape."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bucket:
    """One size in pixels; both sides are multiples of the step that the base model asks for."""

    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


@dataclass(frozen=True)
class Placement:
    """How one picture is brought to its bucket: scaled to `scaled_*`, then cut at (`left`, `top`)."""

    bucket: Bucket
    scaled_width: int
    scaled_height: int
    left: int
    top: int

    def enlarged(self, width: int, height: int) -> bool:
        """Whether a picture of this size has to be scaled up."""
        return self.scaled_width > width or self.scaled_height > height


def compute_buckets(resolution: int, step: int = 64, max_aspect: float = 2.0) -> list[Bucket]:
    """All buckets whose area is at most `resolution` squared and whose aspect lies within `max_aspect` either way.

    Args:
        resolution: Side of the square bucket in px; a multiple of `step`.
        step: Both sides are multiples of it: 64 for SDXL (its paper, section 2.2, uses this step).
        max_aspect: Largest width over height, and height over width.

    Returns:
        Buckets in ascending order of aspect; the square one is always among them.
    """
    area, found = resolution * resolution, {Bucket(resolution, resolution)}
    for width in range(step, int(resolution * max_aspect) + 1, step):
        height = int(area / width) // step * step
        if height >= step and 1 / max_aspect <= width / height <= max_aspect:
            found.add(Bucket(width, height))
    return sorted(found, key=lambda b: (b.aspect, b.width))


def choose_bucket(width: int, height: int, buckets: list[Bucket]) -> Bucket:
    """The bucket that loses least of a picture of this size; of equals the larger one."""
    aspect = width / height
    return min(buckets, key=lambda b: (abs(_log_ratio(b.aspect, aspect)), -b.width * b.height))


def compute_placement(width: int, height: int, bucket: Bucket) -> Placement:
    """Scales to cover the bucket, cuts from the middle."""
    scale = max(bucket.width / width, bucket.height / height)
    scaled_width = max(bucket.width, round(width * scale))
    scaled_height = max(bucket.height, round(height * scale))
    return Placement(bucket, scaled_width, scaled_height, (scaled_width - bucket.width) // 2, (scaled_height - bucket.height) // 2)


def _log_ratio(a: float, b: float) -> float:
    return a / b - 1 if a > b else b / a - 1
