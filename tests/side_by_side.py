"""Which tests run in one process, and what begins first, when pytest-xdist runs them side by side.

A file's tests stay together, because they share fixtures. Where files share what takes long to make, they stay together too; where one
file holds several trainings that share nothing, each is a part of its own. What takes longest begins first, so that no process is left
alone with it at the end.
"""

from __future__ import annotations

import re

LEARNING = "tests/backends/engine/test_learning.py"
BROWSER = "tests/browser/"
# These pages show what one run of the trainer made; it is made once where they stay together.
TRAINED = ("compare", "edit", "generate", "monitor")
_METHOD = re.compile(r"(?:sd15|sdxl|flux)/(\w+)\]$")


def find_part(nodeid: str) -> str:
    """The part of the suite that a test belongs to: all of a part run in one process, one after the other.

    >>> find_part("tests/rules/test_sizes.py::test_a_file[x.py]")
    'tests/rules/test_sizes.py'
    """
    file, _, test = nodeid.partition("::")
    if file == LEARNING:
        return f"{file}::{_find_method(test)}"
    if file.startswith(BROWSER):
        return f"{BROWSER}trained" if file.removeprefix(f"{BROWSER}test_").removesuffix(".py") in TRAINED else file
    return file


def _find_method(test: str) -> str:
    """Right and wrong data of a method share what is encoded and drawn; the edits that are looked at are of its models."""
    found = _METHOD.search(test)
    if found:
        return found[1]
    return "instruct_pix2pix" if "edits" in test or "blue" in test else "text_to_image"
