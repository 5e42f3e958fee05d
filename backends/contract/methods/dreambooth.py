"""DreamBooth LoRA: a subject from a few pictures; names and defaults of the diffusers 0.42 scripts."""

from __future__ import annotations

from typing import ClassVar

from backends.contract.config import redefault
from backends.contract.settings.lora import LoraSettings
from backends.contract.settings.noise import FlowNoise, WeightedNoise
from backends.contract.settings.optimizer import OptimizerSettings
from backends.contract.settings.pictures import HubPictures, MaskedPictures, Words
from backends.contract.settings.prior import EdmSettings, PriorSettings
from backends.contract.settings.training import TrainingSettings

_DEFAULTS = {"train_batch_size": 4, "num_train_epochs": 1, "validation_epochs": 50}
_WITH_TEXT = {"adam_weight_decay": 1e-4, "text_encoder_lr": 5e-6}


class SubjectPictures(Words, MaskedPictures, HubPictures):
    """Pictures of a subject."""


@redefault(**_DEFAULTS, **_WITH_TEXT)
class DreamBoothConfig(PriorSettings, SubjectPictures, LoraSettings, EdmSettings, WeightedNoise, OptimizerSettings, TrainingSettings):
    """LoRA of a subject on SDXL (train_dreambooth_lora_sdxl.py)."""


@redefault(**_DEFAULTS, resolution=512, learning_rate=5e-4, pretrained_model_name_or_path="pocket-sd15")
class Sd15DreamBoothConfig(PriorSettings, SubjectPictures, LoraSettings, WeightedNoise, OptimizerSettings, TrainingSettings):
    """LoRA of a subject on SD 1.5 (train_dreambooth_lora.py)."""

    family: ClassVar[str] = "sd15"


@redefault(**_DEFAULTS, **_WITH_TEXT, resolution=512, pretrained_model_name_or_path="pocket-flux")
class FluxDreamBoothConfig(PriorSettings, SubjectPictures, LoraSettings, FlowNoise, OptimizerSettings, TrainingSettings):
    """LoRA of a subject on Flux (train_dreambooth_lora_flux.py)."""

    family: ClassVar[str] = "flux"
