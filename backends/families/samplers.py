"""Samplers by their name in the settings, built from a base model's own so that its schedule of noise stays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from backends.contract.drawing import SAMPLERS
from backends.contract.errors import DarkroomError

Sampler = Callable[[Any], Any]
"""The base model's sampler -> one of another kind."""

_SHIFT = ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")


def build_sampler(name: str, own: Any, known: dict[str, Sampler], base_name: str) -> Any:
    """The sampler of this name for a base model.

    Args:
        name: A key of `SAMPLERS`.
        own: The base model's own sampler.
        known: Those of its family.
        base_name: For the sentence.

    Raises:
        DarkroomError: When it cannot draw with this base model.
    """
    if name == "default":
        return own
    if name not in known or ("beta_schedule" not in own.config and known is DISCRETE):
        fitting = "as the base model came" if known is DISCRETE else ", ".join(SAMPLERS[s] for s in ("default", *known))
        raise DarkroomError(f"{SAMPLERS[name]} cannot draw with {base_name}. Choose: {fitting}.", field="sampler")
    return known[name](own)


def _discrete(kind: Any, **options: Any) -> Sampler:
    return lambda own: kind.from_config(own.config, **options)


def _flow(kind: Any) -> Sampler:
    """A solver over the sigmas of rectified flow (arXiv 2403.03206), shifted as the base model's own are.

    The pipeline tells every sampler a shift by the picture's size; where the base model has a fixed one (Flux schnell), the two ends of
    that line are set to the same value, whose exponential form equals the fixed shift: s t / (1 + (s - 1) t) with s = exp(mu).
    """

    def build(own: Any) -> Any:
        sampler = kind.from_config(
            own.config, use_flow_sigmas=True, prediction_type="flow_prediction", use_dynamic_shifting=True, time_shift_type="exponential"
        )
        shift = {key: own.config[key] for key in _SHIFT if key in own.config}
        if not own.config.get("use_dynamic_shifting"):
            fixed = math.log(own.config.get("shift") or 1.0)
            shift |= {"base_shift": fixed, "max_shift": fixed}
        sampler.register_to_config(**shift)
        return sampler

    return build


DISCRETE: dict[str, Sampler] = {
    "ddim": _discrete(DDIMScheduler),
    "euler": _discrete(EulerDiscreteScheduler),
    "euler_a": _discrete(EulerAncestralDiscreteScheduler),
    "dpmpp_2m": _discrete(DPMSolverMultistepScheduler, use_karras_sigmas=False),
    "dpmpp_2m_karras": _discrete(DPMSolverMultistepScheduler, use_karras_sigmas=True),
    "unipc": _discrete(UniPCMultistepScheduler),
}
FLOW: dict[str, Sampler] = {
    "euler": _discrete(FlowMatchEulerDiscreteScheduler),
    "dpmpp_2m": _flow(DPMSolverMultistepScheduler),
    "unipc": _flow(UniPCMultistepScheduler),
}
