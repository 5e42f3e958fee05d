"""An adapter's file taken apart: one part a module, with its factors and the strength that they were trained with."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import torch

from backends.contract.adapter_file import AdapterHeader
from backends.contract.errors import DarkroomError

LORA_NOTES, PEFT_NOTES = "lora_adapter_metadata", "peft_adapter_metadata"
"""Where peft's settings stand in a header: under the first name diffusers reads them, under the second nobody but us does."""
_COMPONENTS = "unet|transformer|text_encoder_2|text_encoder"
_FACTORS = r"lora_[AB]\.weight|lora_magnitude_vector|hada_w[12]_[ab]|lokr_w[12](?:_[ab])?"
_KEY = re.compile(rf"({_COMPONENTS})\.(.+)\.({_FACTORS})")


@dataclass(frozen=True)
class Part:
    """One adapted module: `scaling` is the factor on what its `factors` come to, `rank` the number that alpha is divided by."""

    component: str
    module: str
    factors: dict[str, torch.Tensor]
    scaling: float
    rank: int

    @property
    def kind(self) -> Literal["lora", "loha", "lokr"]:
        """By the names of its factors."""
        first = next(iter(self.factors))
        return "loha" if first.startswith("hada") else "lokr" if first.startswith("lokr") else "lora"

    @property
    def magnitude(self) -> torch.Tensor | None:
        """Length of each row of the weight, where the adapter is a DoRA (arXiv 2402.09353)."""
        return self.factors.get("lora_magnitude_vector")

    @property
    def alpha(self) -> float:
        """What gives the same strength where a program divides it by the rank."""
        return self.scaling * self.rank


def read_parts(state: dict[str, torch.Tensor], header: AdapterHeader, name: str) -> list[Part]:
    """The parts of a file that the trainer wrote.

    Raises:
        DarkroomError: When a tensor is none of an adapter's, or the notes on its strength are damaged.
    """
    settings = _read_settings(header, name)
    found: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if not match:
            raise DarkroomError(
                f"“{key}” of “{name}” is no part of an adapter that Darkroom trained. Choose the file of a run or checkpoint."
            )
        found.setdefault((match[1], match[2]), {})[match[3]] = tensor
    try:
        return [_build_part(settings, component, module, factors) for (component, module), factors in found.items()]
    except (ValueError, TypeError, AttributeError, KeyError, re.error):
        raise damaged(name) from None


def check_learnt(parts: list[Part], name: str) -> None:
    """Refuses an adapter that would break a picture or change nothing.

    Raises:
        DarkroomError: When a number is not finite, or all that it would add is 0.
    """
    if not all(bool(torch.isfinite(t).all()) for part in parts for t in part.factors.values()):
        raise DarkroomError(f"“{name}” holds numbers that are not finite; its training broke. Choose an earlier checkpoint.")
    if not any(all(bool(t.any()) for t in part.factors.values()) for part in parts):
        raise DarkroomError(f"“{name}” has learnt nothing: all that it would add is 0. Train it for some steps first.")


def forget_dropout(metadata: dict[str, str], name: str) -> dict[str, str]:
    """Dropout belongs to training; diffusers leaves a loaded adapter in training mode and would apply it to pictures.

    Raises:
        DarkroomError: When the notes are damaged.
    """
    if LORA_NOTES in metadata:
        try:
            settings = json.loads(metadata[LORA_NOTES])
            settings |= {key: 0.0 for key in settings if key.endswith(".lora_dropout")}
        except (ValueError, TypeError):
            raise damaged(name) from None
        metadata = {**metadata, LORA_NOTES: json.dumps(settings, indent=2, sort_keys=True)}
    return metadata


def damaged(name: str) -> DarkroomError:
    """What is said of notes that cannot be read."""
    return DarkroomError(f"The notes on rank and alpha in “{name}” are damaged. Choose another checkpoint.")


def _read_settings(header: AdapterHeader, name: str) -> dict[str, Any]:
    try:
        settings = json.loads(header.metadata.get(LORA_NOTES) or header.metadata.get(PEFT_NOTES) or "{}")
    except ValueError:
        raise damaged(name) from None
    if not isinstance(settings, dict):
        raise damaged(name)
    return settings


def _build_part(settings: dict[str, Any], component: str, module: str, factors: dict[str, torch.Tensor]) -> Part:
    """Alpha over rank (rsLoRA: over its root) as peft's settings say; 1 where they are missing."""
    rank = next((factors[n].shape[0] for n in ("lora_A.weight", "hada_w1_b", "lokr_w1_b", "lokr_w2_b") if n in factors), 0)
    rank = rank or int(settings[f"{component}.r"])
    alpha = settings.get(f"{component}.lora_alpha", settings.get(f"{component}.alpha", rank))
    for pattern, value in (settings.get(f"{component}.alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern.removeprefix('^')})", module):
            alpha = value
            break
    scaling = float(alpha) / (math.sqrt(rank) if settings.get(f"{component}.use_rslora") else rank)
    return Part(component, module, factors, scaling, rank)
