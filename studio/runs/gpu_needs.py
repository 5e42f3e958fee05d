"""Settings that only a GPU can do, and what to choose in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GpuNeed:
    """One such setting as it is set: `said` begins the sentence, `way` ends it without a full stop."""

    field: str
    said: str
    way: str


def find_gpu_needs(config: Any) -> list[GpuNeed]:
    """Those that the settings ask for."""
    found = []
    if config.mixed_precision == "fp16":
        found.append(GpuNeed("mixed_precision", "Precision is fp16", "Choose no"))
    if getattr(config, "with_prior_preservation", False) and config.prior_generation_precision == "fp16":
        found.append(GpuNeed("prior_generation_precision", "Precision of class pictures is fp16", "Choose fp32"))
    if getattr(config, "quantize_base", "none") == "nf4":
        found.append(GpuNeed("quantize_base", "The base model is to be stored as nf4", "Choose int8 or none"))
    return found
