"""Waiting for a job's file to say something, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


def wait_for(status: Callable[[], Any], until: Callable[[Any], bool], limit_s: float = 180) -> Any:
    """The first status of which `until` holds."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not until(now := status()):
        assert time.monotonic() < end, now
        pause.wait(0.02)
    return now


def ended(status: dict[str, Any]) -> bool:
    return status["state"] != "running"
