"""What a person does on the Generate page to draw or edit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PRINT = "#print"
READY = f"{PRINT}[data-state=ready]"


def press(page: Any, button: str, *, steps: int, seed: int) -> None:
    """Sets what every drawing has, presses the button that begins so, and waits for the picture."""
    page.get_by_role("textbox", name="Steps").fill(str(steps))
    page.get_by_label("Seed", exact=True).fill(str(seed))
    with ending(page):
        page.get_by_role("button", name=re.compile(f"^{button}(,|$)")).click()


@contextmanager
def ending(page: Any) -> Iterator[None]:
    """Begins a drawing inside and waits for its end. The page counts its ends: “drawing” may be over before anybody looks."""
    before = int(page.locator(PRINT).get_attribute("data-ended") or 0)
    yield
    page.wait_for_selector(f"{READY}[data-ended='{before + 1}']", timeout=120_000)
