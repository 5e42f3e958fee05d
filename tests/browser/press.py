"""What a person does on the Generate page to draw or edit."""

from __future__ import annotations

import re
from typing import Any

READY = "#print[data-state=ready]"


def press(page: Any, button: str, *, steps: int, seed: int) -> None:
    """Sets what every drawing has, presses the button that begins so, and waits for the picture."""
    page.get_by_role("textbox", name="Steps").fill(str(steps))
    page.get_by_label("Seed", exact=True).fill(str(seed))
    page.get_by_role("button", name=re.compile(f"^{button}(,|$)")).click()
    wait_for_picture(page)


def wait_for_picture(page: Any) -> None:
    """Until what was begun is drawn."""
    page.wait_for_selector("#print[data-state=drawing]")
    page.wait_for_selector(READY, timeout=120_000)
