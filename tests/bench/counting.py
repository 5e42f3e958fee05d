"""What a loop computes, whatever the machine's load."""

from __future__ import annotations

from torch.utils.flop_counter import FlopCounterMode

from bench.turns import Loop


def count_operations(loop: Loop) -> int:
    """Floating point operations of one step."""
    with FlopCounterMode(display=False) as counter:
        loop(1)
    return counter.get_total_flops()
