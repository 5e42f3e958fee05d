"""Compare, the test strip: checkpoints beside each other at one seed, and the one that is kept."""

from __future__ import annotations

from typing import Any

from studio.ui.shell import widget


def build(context: Any) -> None:
    """Draws the page. `compare.js` asks for the cells; they are drawn by the generating worker, never in here."""
    widget("compare", "strip")
