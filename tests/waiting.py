"""Waiting for a condition, never for time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_never = threading.Event()


def wait_until(probe: Callable[[], T | None], what: str | Callable[[], object] = "", *, limit_s: float = 120, pause_s: float = 0.05) -> T:
    """What `probe` gives as soon as that is something true; fails where it never is.

    Args:
        probe: Looks.
        what: What is waited for, in words, or what gives them when it has not come: then it can say how things stand.
        limit_s: For a machine that is as busy as can be.
        pause_s: Between two looks others work, because what is waited for often runs on the same two cores.
    """
    deadline = time.monotonic() + limit_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited {limit_s:g} s for {what() if callable(what) else what or probe}"
        _never.wait(pause_s)
    return found


def wait_for_end(status: Callable[[], dict[str, Any] | None], *, limit_s: float = 180) -> dict[str, Any]:
    """A job's status when it is no longer running."""

    def ended() -> dict[str, Any] | None:
        now = status()
        return now if now and now["state"] != "running" else None

    return wait_until(ended, lambda: f"the end of {status()}", limit_s=limit_s, pause_s=0.02)
