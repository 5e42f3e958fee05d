"""Which tests run in one process, and what begins first, when pytest-xdist runs them side by side.

A file's tests stay together, because they share fixtures. Files that share what takes long to make stay together too, and one that holds
several trainings which share nothing is parted. What takes longest begins first, so that no process is left alone with it at the end.
"""

from __future__ import annotations

import re

BROWSER, LEARNING = "tests/browser/", "tests/backends/engine/test_learning.py"
# Pages that show what one run of the trainer made, which is made once where they stay together; and pages about data.
PAGES = {"trained": ("compare", "edit", "generate", "monitor"), "data": ("arranging", "caption", "check", "crop", "dataset", "drops")}
BUILDING = ("tests/assets/test_build.py", "tests/assets/test_families.py")  # models of one building
# What takes longest, in order.
LONGEST = (
    f"{BROWSER}data",
    f"{BROWSER}others",
    f"{LEARNING}::instruct_pix2pix",
    f"{BROWSER}trained",
    f"{LEARNING}::dreambooth",
    f"{LEARNING}::text_to_image",
    "tests/backends/engine/test_effects.py",
    "tests/studio/runs/test_ai_toolkit.py",
    "tests/backends/families/test_single_file.py",
)
_METHOD = re.compile(r"(?:sd15|sdxl|flux)/(\w+)\]$")


def find_part(nodeid: str) -> str:
    """The part of the suite that a test belongs to; all of a part run in one process, one after the other."""
    file, _, test = nodeid.partition("::")
    if file.startswith(BROWSER):
        page = file.removeprefix(f"{BROWSER}test_")
        return BROWSER + next((part for part, pages in PAGES.items() if page.startswith(pages)), "others")
    if file == LEARNING:
        return f"{LEARNING}::{_find_method(test)}"
    return BUILDING[0] if file in BUILDING else file


def _find_method(test: str) -> str:
    """Right and wrong data of one method share what is encoded and drawn; the edits that are looked at are those of its models."""
    found = _METHOD.search(test)
    if found:
        return found[1]
    return "instruct_pix2pix" if "edits" in test or "blue" in test else "text_to_image"


def rank_part(part: str) -> int:
    """Its place in `LONGEST`; what is not there follows in the order in which it was collected."""
    return LONGEST.index(part) if part in LONGEST else len(LONGEST)
