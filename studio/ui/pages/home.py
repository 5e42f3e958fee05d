"""Home: recent work with its next step, or the two ways to begin."""

from __future__ import annotations

from studio.ui.shell import widget
from studio.web.context import Context


def build(context: Context) -> None:
    """One widget: what stands on the page depends on what is in the workspace."""
    widget("home", "home")
