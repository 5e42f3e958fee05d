"""Bars of one colour beside or above and below a picture, as films and screenshots have them."""

from __future__ import annotations

import numpy as np

_PLAIN = 4.0  # of 255: how much the brightness of a bar may vary
_SAME = 8.0  # and how far the two bars may lie apart
# Where a bar ends, the line beyond is so much brighter or darker in so much of its length, at one of its ends too: a thing
# with a straight side on a plain ground leaves the ground at both.
_CHANGED, _ACROSS, _END = 14.0, 0.5, 0.06
_BEYOND = 3  # lines in which an edge may be spread when a picture was made small


def measure_bars(grey: np.ndarray) -> tuple[float, float]:
    """Shares of the height that bars above and below take, and of the width that bars at both sides take; 0 without bars.

    A plain ground behind a thing is no bar: there the ground goes on beside the thing.

    Args:
        grey: (height, width) of bytes.
    """
    return _measure(grey), _measure(grey.T)


def _measure(grey: np.ndarray) -> float:
    if max(grey[0].std(), grey[-1].std()) > _PLAIN or abs(float(grey[0].mean()) - float(grey[-1].mean())) > _SAME:
        return 0.0  # as nearly all pictures
    values = grey.astype(np.float32)
    first, last = _measure_one(values), _measure_one(values[::-1])
    return (first + last) / len(grey) if first and last else 0.0


def _measure_one(grey: np.ndarray) -> int:
    """How many lines from the first on make a bar."""
    colour = float(grey[0].mean())
    plain = (grey.std(axis=1) <= _PLAIN) & (np.abs(grey.mean(axis=1) - colour) <= _PLAIN)
    size = int(np.argmin(plain)) if not plain.all() else 0
    beyond = grey[size : size + _BEYOND]
    if not size or not len(beyond):
        return 0
    changed = np.abs(beyond - colour).max(axis=0) > _CHANGED
    end = max(1, round(_END * len(changed)))
    reaches = max(changed[:end].mean(), changed[-end:].mean()) >= _ACROSS
    return size if reaches and changed.mean() >= _ACROSS else 0
