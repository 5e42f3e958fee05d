"""A LoRA of Flux under the names of the original checkpoint, which kohya's scripts, ComfyUI and Forge read.

There the queries, keys and values are one matrix (in the single blocks together with the first layer behind them). Factors of
several modules become one pair: the first ones above each other, the second ones along a diagonal of blocks.
"""

from __future__ import annotations

import re
from dataclasses import replace

import torch

from backends.contract.errors import DarkroomError
from backends.engine.layouts.kohya import lay_out_part
from backends.engine.layouts.parts import Part

MLP_RATIO = 4  # width of the layer behind the attention, in widths of the model
_BLOCK = re.compile(r"(transformer_blocks|single_transformer_blocks)\.(\d+)\.(.+)")
_KINDS = {"transformer_blocks": "double_blocks", "single_transformer_blocks": "single_blocks"}
_FUSED: dict[str, dict[str, tuple[str, ...]]] = {
    "double_blocks": {
        "img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
        "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
        "img_attn_proj": ("attn.to_out.0",),
        "txt_attn_proj": ("attn.to_add_out",),
        "img_mlp_0": ("ff.net.0.proj",),
        "img_mlp_2": ("ff.net.2",),
        "txt_mlp_0": ("ff_context.net.0.proj",),
        "txt_mlp_2": ("ff_context.net.2",),
        "img_mod_lin": ("norm1.linear",),
        "txt_mod_lin": ("norm1_context.linear",),
    },
    "single_blocks": {
        "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
        "linear2": ("proj_out",),
        "modulation_lin": ("norm.linear",),
    },
}


def lay_out_flux(parts: list[Part]) -> dict[str, torch.Tensor]:
    """The tensors of the transformer's parts under the original names.

    Raises:
        DarkroomError: When a module has no place there.
    """
    blocks: dict[tuple[str, int], dict[str, Part]] = {}
    for part in parts:
        match = _BLOCK.fullmatch(part.module)
        if not match:
            raise DarkroomError(f"“{part.module}” of Flux has no place in the kohya layout. Choose the diffusers layout.")
        blocks.setdefault((_KINDS[match[1]], int(match[2])), {})[match[3]] = part
    laid_out: dict[str, torch.Tensor] = {}
    for (kind, number), modules in sorted(blocks.items()):
        for name, wanted in _FUSED[kind].items():
            found = [modules.pop(module, None) for module in wanted]
            if any(found):
                laid_out |= lay_out_part(fuse(found), f"lora_unet_{kind}_{number}_{name}")
        if modules:
            raise DarkroomError(f"“{next(iter(modules))}” of Flux has no place in the kohya layout. Choose the diffusers layout.")
    return laid_out


def fuse(parts: list[Part | None]) -> Part:
    """One part that does what several do; one that was not trained leaves its rows at 0.

    Raises:
        DarkroomError: When it is a DoRA of which a part was not trained: the lengths of its rows are not known.
    """
    present = [part for part in parts if part]
    first = present[0]
    if len(parts) == 1:
        return first
    if first.magnitude is not None and len(present) < len(parts):
        raise DarkroomError(
            "A DoRA of Flux that trained the attention alone has no place in the kohya layout, where one matrix holds more than that. "
            "Choose the diffusers layout, or train attention+ff."
        )
    width = first.factors["lora_B.weight"].shape[0]
    second = [
        part.factors["lora_B.weight"] * (part.scaling / first.scaling)
        if part
        else first.factors["lora_B.weight"].new_zeros(width * (MLP_RATIO if place == 3 else 1), 0)
        for place, part in enumerate(parts)
    ]
    factors = {"lora_A.weight": torch.cat([part.factors["lora_A.weight"] for part in present]), "lora_B.weight": torch.block_diag(*second)}
    if first.magnitude is not None:
        factors["lora_magnitude_vector"] = torch.cat([part.factors["lora_magnitude_vector"] for part in present])
    return replace(first, factors=factors, rank=sum(part.rank for part in present))
