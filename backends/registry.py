"""Which trainings there are: name -> family, method, settings. Torch-free; the code is named, not imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.contract.config import Config
from backends.contract.errors import DarkroomError
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.methods.dreambooth import DreamBoothConfig, FluxDreamBoothConfig, Sd15DreamBoothConfig
from backends.contract.methods.instruct_pix2pix import InstructPix2PixConfig, Sd15InstructPix2PixConfig
from backends.contract.methods.text_to_image import (
    FluxTextToImageConfig,
    FullTextToImageConfig,
    Sd15FullTextToImageConfig,
    Sd15TextToImageConfig,
    TextToImageConfig,
)
from backends.contract.settings.pictures import wants_pairs

PRESETS = Path(__file__).resolve().parents[1] / "presets"


@dataclass(frozen=True)
class Backend:
    """One family x method.

    `family_class` and `method_class` are `module:Class` paths, imported by the trainer only; empty where another program trains.
    `learned_ratio`: a run on a bundled base has learnt when its held-out loss fell below this share of what it was before training;
    taken over right and wrong runs (docs/learning.md). A large base has seen nearly everything, so that its loss falls by a few per
    cent at most: of it this measure says nothing.
    """

    family: str
    method: str
    title: str
    config: type[Config]
    family_class: str
    method_class: str
    learned_ratio: float = 0.7

    @property
    def name(self) -> str:
        """`family/method`, as it stands in a run's settings."""
        return f"{self.family}/{self.method}"

    @property
    def presets(self) -> Path:
        """Folder of this method's presets; each file names its family."""
        return PRESETS / self.method


_FAMILIES = {
    "sd15": ("SD 1.5", "backends.families.sd15:Sd15"),
    "sdxl": ("SDXL", "backends.families.sdxl:Sdxl"),
    "flux": ("Flux", "backends.families.flux:Flux"),
}
_METHODS = {
    "text_to_image": ("LoRA from pictures with captions", "backends.methods.text_to_image:TextToImage"),
    "text_to_image_full": ("all weights, from pictures with captions", "backends.methods.text_to_image:FullTextToImage"),
    "dreambooth": ("DreamBooth LoRA of a subject", "backends.methods.dreambooth:DreamBooth"),
    "instruct_pix2pix": ("InstructPix2Pix, edits from pairs", "backends.methods.instruct_pix2pix:InstructPix2Pix"),
    "ai_toolkit": ("LoRA from pictures with captions, by ai-toolkit", ""),
}
_CONFIGS: dict[tuple[str, str], type[Config]] = {
    ("sd15", "text_to_image"): Sd15TextToImageConfig,
    ("sd15", "text_to_image_full"): Sd15FullTextToImageConfig,
    ("sd15", "dreambooth"): Sd15DreamBoothConfig,
    ("sd15", "instruct_pix2pix"): Sd15InstructPix2PixConfig,
    ("sdxl", "text_to_image"): TextToImageConfig,
    ("sdxl", "text_to_image_full"): FullTextToImageConfig,
    ("sdxl", "dreambooth"): DreamBoothConfig,
    ("sdxl", "instruct_pix2pix"): InstructPix2PixConfig,
    ("flux", "text_to_image"): FluxTextToImageConfig,
    ("flux", "dreambooth"): FluxDreamBoothConfig,
    ("flux", "ai_toolkit"): FluxAiToolkitConfig,
}
# Midway between right and wrong runs (docs/learning.md). Under DreamBooth's one prompt wrong pictures pass further; pairs share much
# with what the base knows.
_LEARNED = {
    ("sd15", "text_to_image"): 0.61,
    ("sd15", "text_to_image_full"): 0.59,
    ("sd15", "dreambooth"): 0.66,
    ("sd15", "instruct_pix2pix"): 0.78,
    ("sdxl", "text_to_image"): 0.74,
    ("sdxl", "text_to_image_full"): 0.65,
    ("sdxl", "dreambooth"): 0.79,
    ("sdxl", "instruct_pix2pix"): 0.86,
    ("flux", "text_to_image"): 0.7,
    ("flux", "dreambooth"): 0.55,
}
# Pairs that somebody may look for, and why they are not there.
REFUSED = {
    "flux/text_to_image_full": "Training all 12 billion weights of Flux needs several GPUs with 80 GB each. A LoRA learns nearly as much: "
    "choose flux/text_to_image.",
    "flux/instruct_pix2pix": "Flux learns edits by Kontext, whose input is made otherwise. "
    "Choose sd15/instruct_pix2pix or sdxl/instruct_pix2pix.",
}
BACKENDS: dict[str, Backend] = {
    b.name: b
    for b in (
        Backend(
            family=family,
            method=method,
            title=f"{_FAMILIES[family][0]}, {_METHODS[method][0]}",
            config=config,
            family_class=_FAMILIES[family][1],
            method_class=_METHODS[method][1],
            learned_ratio=_LEARNED.get((family, method), 0.7),
        )
        for (family, method), config in _CONFIGS.items()
    )
}


def find_backend(name: str) -> Backend:
    """The back end of this name.

    Raises:
        DarkroomError: When there is none; says why, or names those that exist.
    """
    if name in REFUSED:
        raise DarkroomError(f"There is no training {name}. {REFUSED[name]}")
    if name not in BACKENDS:
        raise DarkroomError(f"There is no training called “{name}”. There is: {', '.join(BACKENDS)}.")
    return BACKENDS[name]


def learns_edits(name: str) -> bool:
    """Whether the training of this name learns from edit pairs; False for one that there is not."""
    return name in BACKENDS and wants_pairs(BACKENDS[name].config)
