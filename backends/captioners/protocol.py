"""What every captioner can do, and where a captioner's name leads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from PIL import Image

from backends.contract.base_models import MODELS
from backends.contract.errors import DarkroomError

CAPTIONERS = {
    "pocket-blip": "The small captioner that came with the studio. Knows 238 words.",
    "Salesforce/blip-image-captioning-base": "BLIP base, 1.0 GB. Writes free sentences.",
    "Salesforce/blip-image-captioning-large": "BLIP large, 1.9 GB. Writes longer, more careful sentences; slower.",
}
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class Captioner(Protocol):
    """A loaded model that writes captions."""

    def caption(self, pictures: list[Image.Image], *, max_new_tokens: int, num_beams: int) -> list[str]:
        """One caption a picture (RGB), in the same order."""
        ...


def resolve_captioner(name: str) -> str:
    """A local folder or a hub id for what a person wrote as captioner.

    Raises:
        DarkroomError: When it is neither a known name, nor a model's folder, nor of the form owner/name.
    """
    if name == "pocket-blip":
        return str(MODELS / "pocket-blip")
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise DarkroomError(f"The folder {name} has no config.json. A captioner is a BLIP model's folder.", field="captioner")
        return str(path.resolve())
    if _HUB_ID.fullmatch(name) and ".." not in name:
        return name
    raise DarkroomError(
        f"No captioner is called “{name}”. Give pocket-blip, a BLIP model's folder on this machine, or a Hugging Face "
        "name such as Salesforce/blip-image-captioning-base.",
        field="captioner",
    )
