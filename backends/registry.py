"""Which trainings there are: name -> family, method, settings. Torch-free; the code is named, not imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.contract.config import Config
from backends.contract.errors import DarkroomError
from backends.contract.text_to_image import TextToImageConfig

PRESETS = Path(__file__).resolve().parents[1] / "presets"


@dataclass(frozen=True)
class Backend:
    """One family x method.

    `family_class` and `method_class` are `module:Class` paths, imported by the trainer only.
    """

    family: str
    method: str
    title: str
    config: type[Config]
    family_class: str
    method_class: str

    @property
    def name(self) -> str:
        """`family/method`, as it stands in a run's settings."""
        return f"{self.family}/{self.method}"

    @property
    def presets(self) -> Path:
        """Folder of this method's presets; each file names its family."""
        return PRESETS / self.method


BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend(
            family="sdxl",
            method="text_to_image",
            title="SDXL, LoRA from pictures with captions",
            config=TextToImageConfig,
            family_class="backends.families.sdxl:Sdxl",
            method_class="backends.methods.text_to_image:TextToImage",
        ),
    )
}


def find_backend(name: str) -> Backend:
    """The back end of this name.

    Raises:
        DarkroomError: When there is none; names those that exist.
    """
    if name not in BACKENDS:
        raise DarkroomError(f"There is no training called “{name}”. There is: {', '.join(BACKENDS)}.")
    return BACKENDS[name]
