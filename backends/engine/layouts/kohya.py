"""The names that ComfyUI, A1111, Forge and the kohya scripts read.

`lora_unet_<module>.lora_down.weight`, `.lora_up.weight` and `.alpha`; DoRA's `dora_scale` beside them; LoHa and LoKr under the names
of LyCORIS (`hada_*`, `lokr_*`). The first text encoder's modules get back the `text_model.` that transformers 5 dropped from its names;
without it those programs do not find them.
"""

from __future__ import annotations

import torch

from backends.engine.layouts.parts import Part

_NAMES = {"lora_A.weight": "lora_down.weight", "lora_B.weight": "lora_up.weight"}


def name_module(part: Part, *, one_text_encoder: bool) -> str:
    """Kohya's name of a module.

    Args:
        part: What is named.
        one_text_encoder: SD 1.5 and 2 have one, called `te` instead of `te1`.
    """
    first = "lora_te_" if one_text_encoder else "lora_te1_"
    # ComfyUI finds LoHa and LoKr of Flux by these names, which know the single q, k and v
    prefix = {"unet": "lora_unet_", "transformer": "lycoris_", "text_encoder": first, "text_encoder_2": "lora_te2_"}[part.component]
    module = part.module
    if part.component == "text_encoder" and not module.startswith("text_model."):
        module = f"text_model.{module}"
    return prefix + module.replace(".", "_")


def lay_out_part(part: Part, name: str) -> dict[str, torch.Tensor]:
    """The tensors of one module under kohya's names, with the alpha that gives the strength of the training."""
    factors = dict(part.factors)
    if "lokr_w1" in factors and "lokr_w2" in factors:
        # a reader takes the alpha of two whole factors for 1, so their strength stands in one of them
        factors["lokr_w2"] = factors["lokr_w2"] * part.scaling
    laid_out = {f"{name}.{_NAMES.get(key, key)}": tensor.contiguous() for key, tensor in factors.items() if key != "lora_magnitude_vector"}
    if part.magnitude is not None:
        sides = factors["lora_B.weight"].ndim - 1  # one number an output, as wide as the weight
        laid_out[f"{name}.dora_scale"] = part.magnitude.reshape(-1, *[1] * sides).contiguous()
    return {**laid_out, f"{name}.alpha": torch.tensor(part.alpha, dtype=torch.float32)}
