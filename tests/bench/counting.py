"""What a step of a loop computes, whatever the machine's load."""

from __future__ import annotations

from bench import counting
from bench.turns import Loop


def count_operations(loop: Loop) -> int:
    """Floating point operations of one step."""
    return counting.count_operations(lambda: loop(1))
