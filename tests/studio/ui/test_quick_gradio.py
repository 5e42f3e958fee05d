"""Gradio is imported whole, but for its stub files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

WATCH = """
import inspect, pathlib
before, read = inspect.getfile, pathlib.Path.read_text
suffixes = set()
def watched(self, *args, **kwargs):
    suffixes.add(self.suffix)
    return read(self, *args, **kwargs)
pathlib.Path.read_text = watched
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", WATCH + code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_components_are_whole_and_inspect_is_as_before():
    run(
        "import studio.ui, gradio\n"
        "assert inspect.getfile is before\n"
        "assert inspect.getfile(gradio.Textbox).endswith('textbox.py')\n"
        "with gradio.Blocks():\n"
        "    assert gradio.Textbox().change and gradio.Button().click\n"
    )


@pytest.mark.parametrize(("module", "wanted"), [("studio.ui", False), ("gradio", True)])
def test_only_a_plain_import_looks_at_stub_files(module, wanted):
    """The second line is why the first exists: where it fails, Gradio has stopped, and so can we."""
    run(f"import {module}\nassert ('.pyi' in suffixes) is {wanted}, suffixes\n")
