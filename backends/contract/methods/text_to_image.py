"""Text to image: LoRA on every family, the whole UNet on those that have one; names and defaults of the diffusers 0.42 scripts."""

from __future__ import annotations

from typing import ClassVar

from backends.contract.config import redefault
from backends.contract.settings.lora import LoraSettings
from backends.contract.settings.noise import DiffusionNoise, FlowNoise
from backends.contract.settings.optimizer import OptimizerSettings
from backends.contract.settings.pictures import CaptionedPictures, MaskedPictures
from backends.contract.settings.training import TrainingSettings

# The form shows the settings of the last base first.


class TextToImageConfig(CaptionedPictures, MaskedPictures, LoraSettings, DiffusionNoise, OptimizerSettings, TrainingSettings):
    """LoRA on SDXL from pictures with captions (train_text_to_image_lora_sdxl.py)."""


@redefault(resolution=512, pretrained_model_name_or_path="pocket-sd15")
class Sd15TextToImageConfig(TextToImageConfig):
    """LoRA on SD 1.5 from pictures with captions (train_text_to_image_lora.py)."""

    family: ClassVar[str] = "sd15"


@redefault(pretrained_model_name_or_path="pocket-flux", guidance_scale=1.0)
class FluxTextToImageConfig(CaptionedPictures, MaskedPictures, LoraSettings, FlowNoise, OptimizerSettings, TrainingSettings):
    """LoRA on Flux from pictures with captions; the loss is that of train_dreambooth_lora_flux.py."""

    family: ClassVar[str] = "flux"


class FullTextToImageConfig(CaptionedPictures, MaskedPictures, DiffusionNoise, OptimizerSettings, TrainingSettings):
    """All weights of SDXL's UNet from pictures with captions (train_text_to_image_sdxl.py)."""


@redefault(resolution=512, validation_epochs=5, pretrained_model_name_or_path="pocket-sd15")
class Sd15FullTextToImageConfig(FullTextToImageConfig):
    """All weights of SD 1.5's UNet from pictures with captions (train_text_to_image.py)."""

    family: ClassVar[str] = "sd15"
