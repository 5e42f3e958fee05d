"""Waiting for a condition, never for time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_never = threading.Event()


def wait_until(probe: Callable[[], T], limit_s: float = 120, pause_s: float = 0.05) -> T:
    """What `probe` gives as soon as that is something true; fails where it never is.

    Between two looks it lets others work (`pause_s`), because what is waited for often runs on the same two cores.
    """
    deadline = time.monotonic() + limit_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited {limit_s:g} s"
        _never.wait(pause_s)
    return found
