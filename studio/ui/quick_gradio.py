"""Gradio's import without its stub files.

While it is imported, Gradio 6 parses the source of each of its components and renders a `.pyi` file for editors beside it:
1.7 of the 3.8 s of CPU that the import takes (docs/benchmarks.md). It leaves a component out whose file cannot be found,
so that is what it is told here. A Gradio that no longer does this is not touched by it.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any

_WRITER = "gradio.component_meta"


def import_gradio() -> None:
    """Imports Gradio, without analytics and without writing stub files; later imports find it ready."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    find = inspect.getfile

    def find_unless_for_stubs(thing: Any) -> str:
        if sys._getframe(1).f_globals.get("__name__") == _WRITER:
            raise OSError("no stub file wanted")
        return find(thing)

    inspect.getfile = find_unless_for_stubs  # type: ignore[assignment]
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = find
