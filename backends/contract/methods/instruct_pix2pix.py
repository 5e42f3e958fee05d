"""InstructPix2Pix: edits by instruction, learnt from pairs; names and defaults of the diffusers 0.42 scripts."""

from __future__ import annotations

from typing import ClassVar

from backends.contract.config import redefault
from backends.contract.settings.edits import EditSettings
from backends.contract.settings.optimizer import OptimizerSettings
from backends.contract.settings.pictures import EditPairs
from backends.contract.settings.training import TrainingSettings


@redefault(resolution=256)
class InstructPix2PixConfig(EditPairs, EditSettings, OptimizerSettings, TrainingSettings):
    """All weights of SDXL's UNet from edit pairs (train_instruct_pix2pix_sdxl.py)."""


@redefault(pretrained_model_name_or_path="pocket-sd15")
class Sd15InstructPix2PixConfig(InstructPix2PixConfig):
    """All weights of SD 1.5's UNet from edit pairs (train_instruct_pix2pix.py)."""

    family: ClassVar[str] = "sd15"
