"""Packages that some settings need beside those of requirements.txt."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

_QUANTISERS = {"int8": "torchao", "float8": "torchao", "nf4": "bitsandbytes"}
_TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "comet_ml": "comet_ml", "trackio": "trackio"}


@dataclass(frozen=True)
class ExtraPackage:
    """One package and the setting that asks for it; without one that is not `needed` the trainer does it another way and says so."""

    name: str
    field: str
    said: str
    way: str
    needed: bool = True


def find_extra_packages(config: Any) -> list[ExtraPackage]:
    """What the settings ask for, installed or not."""
    found = []
    if getattr(config, "use_8bit_adam", False):
        found.append(ExtraPackage("bitsandbytes", "use_8bit_adam", "8-bit Adam is on", "Switch it off"))
    if package := _QUANTISERS.get(small := getattr(config, "quantize_base", "none")):
        found.append(ExtraPackage(package, "quantize_base", f"The base model is to be stored as {small}", "Choose none"))
    if getattr(config, "enable_xformers_memory_efficient_attention", False):
        found.append(ExtraPackage("xformers", "enable_xformers_memory_efficient_attention", "xFormers attention is on", "", needed=False))
    if package := _TRACKERS.get(config.report_to):
        found.append(ExtraPackage(package, "report_to", f"The tracker is {config.report_to}", "Choose none"))
    return found


def is_installed(package: str) -> bool:
    """Whether this environment has it."""
    return importlib.util.find_spec(package) is not None
