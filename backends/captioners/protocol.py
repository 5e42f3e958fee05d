"""What every captioner and every scorer can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PIL import Image

from backends.contract.captioning import Wording


class Captioner(Protocol):
    """A loaded model that writes captions.

    `check` is called where a caption can be left half way, with every token say; it raises when nobody waits for it any more.
    """

    check: Callable[[], None]

    def caption(self, picture: Image.Image, wording: Wording) -> list[str]:
        """One caption or several of a picture (RGB), the best first, none twice, without prefix and suffix."""
        ...


class Scorer(Protocol):
    """A loaded model that tells how well captions fit pictures."""

    def score(self, picture: Image.Image, text: str) -> float:
        """How well this caption fits this picture (RGB): 0 not at all, 1 fully."""
        ...
