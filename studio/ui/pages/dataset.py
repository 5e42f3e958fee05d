"""Dataset, the light table: pictures come in, are looked at, and go."""

from __future__ import annotations

from studio.ui.shell import widget
from studio.web.context import Context


def build(context: Context) -> None:
    """One widget: its head carries the data set's own name, which is a person's words and so is drawn as text."""
    widget("dataset", "light")
