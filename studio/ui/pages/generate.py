"""Generate, the print: a prompt, the picture, and the LoRA mixer."""

from __future__ import annotations

from typing import Any

from studio.ui.shell import widget


def build(context: Any) -> None:
    """Draws the page. `generate.js` starts drawings and reads how far they are; none runs in here."""
    widget("generate", "print")
