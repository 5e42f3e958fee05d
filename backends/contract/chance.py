"""Draws that are functions of what they are for, so that any of them can be made again: after a resume, on another rank, beforehand."""

from __future__ import annotations

import hashlib

_RANGE = 2**63


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on their order.

    The generator of noise is seeded by (seed, step, micro-step, 0) on every rank, which takes its share of what is drawn for
    all; because no draw depends on an earlier one, there is no generator state to save in a checkpoint.
    """
    digest = hashlib.blake2b("/".join(str(p) for p in parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def draw_share(*parts: int | str) -> float:
    """A number from 0 to below 1 that depends on every part and on their order."""
    return min(mix_seed(*parts) / _RANGE, 1 - 2**-53)  # the largest seeds would be rounded up to 1
