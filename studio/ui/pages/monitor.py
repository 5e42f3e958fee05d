"""Monitor, the tray: the latest sample, the curve, the sample wall, and Stop."""

from __future__ import annotations

from typing import Any

from studio.ui.shell import widget


def build(context: Any) -> None:
    """Draws the page. Everything on it is read from the run's folder by `monitor.js`; no job runs in here."""
    widget("monitor", "monitor")
