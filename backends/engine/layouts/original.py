"""A whole Stable Diffusion under the names of its original checkpoint: the one file that ComfyUI, A1111 and Forge open.

The original numbers its blocks in one row and calls their layers otherwise; the second text encoder of SDXL is OpenCLIP's, whose
queries, keys and values are one matrix. What is left out of the file is what those programs know by themselves (tokenizers, sampler).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch

from backends.contract.errors import DarkroomError

State = dict[str, torch.Tensor]
UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT, TEXT_XL, TEXT_XL_2 = "cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_OUTER = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_CLIP_OUTER = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}


def lay_out_unet(state: State, *, layers_per_block: int) -> State:
    """The UNet's tensors under the original names."""
    attended = {int(m[1]) for m in (re.match(r"up_blocks\.(\d+)\.attentions\.", name) for name in state) if m}
    return _rename(state, UNET, lambda name: _name_unet(name, layers_per_block, attended))


def lay_out_vae(state: State) -> State:
    """The VAE's tensors under the original names; its attention was made of 1 x 1 convolutions."""
    last = max((int(m[1]) for m in (re.match(r"decoder\.up_blocks\.(\d+)\.", name) for name in state) if m), default=0)
    found = _rename(state, VAE, lambda name: _name_vae(name, last))
    return {
        name: tensor[:, :, None, None] if re.search(r"\.mid\.attn_1\.(q|k|v|proj_out)\.weight$", name) and tensor.ndim == 2 else tensor
        for name, tensor in found.items()
    }


def lay_out_clip(state: State, prefix: str) -> State:
    """A CLIP text encoder as transformers has it; `text_model.` stands in front where transformers 5 dropped it."""
    return {f"{prefix}{name if name.startswith('text_model.') else f'text_model.{name}'}": tensor for name, tensor in state.items()}


def lay_out_open_clip(state: State) -> State:
    """The second text encoder of SDXL as OpenCLIP has it."""
    state = {name if name.startswith(("text_model.", "text_projection")) else f"text_model.{name}": t for name, t in state.items()}
    laid_out: State = {"text_projection": state.pop("text_projection.weight").T.contiguous()}
    fused: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        layer = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if not layer:
            if name in _CLIP_OUTER:  # anything else is a table of numbers 0, 1, 2 ...
                laid_out[_CLIP_OUTER[name]] = tensor
        elif layer[2].startswith("self_attn.") and layer[2][-6:] in ("q_proj", "k_proj", "v_proj"):
            fused.setdefault((layer[1], layer[3]), {})[layer[2][-6:]] = tensor
        else:
            laid_out[f"transformer.resblocks.{layer[1]}.{_CLIP_LAYER[layer[2]]}.{layer[3]}"] = tensor
    for (number, kind), three in fused.items():
        laid_out[f"transformer.resblocks.{number}.attn.in_proj_{kind}"] = torch.cat([three[n] for n in ("q_proj", "k_proj", "v_proj")])
    return {TEXT_XL_2 + name: tensor for name, tensor in laid_out.items()}


def _rename(state: State, prefix: str, name: Callable[[str], str]) -> State:
    found = {}
    for old, tensor in state.items():
        module, _, kind = old.rpartition(".")
        found[f"{prefix}{name(module)}.{kind}"] = tensor
    return found


def _name_unet(module: str, layers: int, attended: set[int]) -> str:
    if module in _UNET_OUTER:
        return _UNET_OUTER[module]
    middle = re.fullmatch(r"mid_block\.((?:resnets|attentions)\.\d+)\.(.+)", module)
    if middle and middle[1] in _MIDDLE:
        return f"middle_block.{_MIDDLE[middle[1]]}.{_name_layer(middle[1], middle[2])}"
    block = re.fullmatch(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", module)
    if not block:
        raise DarkroomError(f"“{module}” of the UNet has no place in the original layout. Export a folder instead.", field="layout")
    down, kind, number = block[1] == "down_blocks", block[3], int(block[4])
    first = (layers + 1) * int(block[2]) + int(down)  # what goes down begins behind the first convolution
    side = "input_blocks" if down else "output_blocks"
    if kind == "downsamplers":
        return f"{side}.{first + layers}.0.op"
    if kind == "upsamplers":  # the last layer of its block: behind a resnet, and an attention where there is one
        return f"{side}.{first + layers}.{2 if int(block[2]) in attended else 1}.conv"
    return f"{side}.{first + number}.{int(kind == 'attentions')}.{_name_layer(kind, block[5])}"


def _name_layer(kind: str, rest: str) -> str:
    return _RESNET[rest] if kind.startswith("resnets") else rest


def _name_vae(module: str, last: int) -> str:
    module = re.sub(r"mid_block\.attentions\.0\.(\w+(?:\.0)?)", lambda m: f"mid.attn_1.{_VAE_ATTENTION.get(m[1], m[1])}", module)
    module = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", module)
    module = re.sub(r"encoder\.down_blocks\.(\d+)\.resnets", r"encoder.down.\1.block", module)
    module = re.sub(r"encoder\.down_blocks\.(\d+)\.downsamplers\.0", r"encoder.down.\1.downsample", module)
    module = re.sub(r"decoder\.up_blocks\.(\d+)\.resnets", lambda m: f"decoder.up.{last - int(m[1])}.block", module)
    module = re.sub(r"decoder\.up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"decoder.up.{last - int(m[1])}.upsample", module)
    return module.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
