"""Tiny models of each family's build with random numbers, and the layout of the original repositories that people's files have."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import diffusers
import safetensors.torch
import torch
import transformers
from accelerate import init_empty_weights

from backends.contract.clip_vocabulary import CONFIGS
from backends.families.clip_tokenizer import build_tokenizer

CLIP_L = {"hidden_size": 32, "intermediate_size": 64, "projection_dim": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
BIG_G = {**CLIP_L, "hidden_size": 64, "intermediate_size": 128, "projection_dim": 64}
VAE = {"block_out_channels": [32, 32, 64, 64], "sample_size": 64}
XL = {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 112, "sample_size": 8}
# What of the shipped configs is made smaller; every name, order and switch stays.
SMALL: dict[str, dict[str, dict[str, Any]]] = {
    "sd15": {
        "unet": {"block_out_channels": [32, 32, 64, 64], "cross_attention_dim": 32, "attention_head_dim": 4, "sample_size": 8},
        "vae": VAE,
        "text_encoder": CLIP_L,
    },
    "sdxl": {
        "unet": {
            **XL,
            "block_out_channels": [32, 64, 64],
            "cross_attention_dim": 96,
            "attention_head_dim": [2, 4, 4],
            "transformer_layers_per_block": [1, 2, 3],
        },
        "vae": VAE,
        "text_encoder": CLIP_L,
        "text_encoder_2": BIG_G,
    },
    "sdxl-refiner": {
        "unet": {
            **XL,
            "projection_class_embeddings_input_dim": 104,
            "block_out_channels": [32, 32, 64, 64],
            "cross_attention_dim": 64,
            "attention_head_dim": [2, 2, 4, 4],
            "transformer_layers_per_block": 2,
        },
        "vae": VAE,
        "text_encoder_2": BIG_G,
    },
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_UNET = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
    "final_layer_norm": "ln_final",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def build_empty(place: str) -> torch.nn.Module:
    """The model that a shipped config describes, without numbers."""
    config = json.loads((CONFIGS / place / "config.json").read_text())
    with init_empty_weights():
        if "_class_name" in config:
            return getattr(diffusers, config["_class_name"]).from_config(config)
        kind = getattr(transformers, config["architectures"][0])
        return kind(kind.config_class(**config))


def write_small_configs(folder: Path) -> Path:
    """The shipped configs with smaller numbers, in the same folders."""
    for family, parts in SMALL.items():
        shutil.copytree(CONFIGS / family, folder / family)
        for part, changes in parts.items():
            path = folder / family / part / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def build_pipeline(kind: type, folder: Path, seed: int = 0, **unet: Any) -> Any:
    """A pipeline of this class as the folder describes it, with random numbers."""
    torch.manual_seed(seed)
    parts: dict[str, Any] = {}
    for name, value in json.loads((folder / "model_index.json").read_text()).items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        parts[name] = _build_part(folder / name, value[1], unet if name == "unet" else {}) if value[0] else None
    optional = {"requires_safety_checker": False} if "safety_checker" in parts else {}
    known = kind.__init__.__code__.co_varnames
    return kind(**{n: p for n, p in parts.items() if n in known}, **optional)


def _build_part(folder: Path, name: str, changes: dict[str, Any]) -> Any:
    if name == "CLIPTokenizer":
        return build_tokenizer(folder)
    if "Scheduler" in name:
        return getattr(diffusers, name).from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    if hasattr(diffusers, name):
        return getattr(diffusers, name).from_config(config)
    kind = getattr(transformers, name)
    return kind(kind.config_class(**config)).eval()


def write_checkpoint(path: Path, pipeline: Any, *, extra: dict[str, torch.Tensor] | None = None, leave_out: str = "-") -> Path:
    """The pipeline as one file, with `extra` tensors beside its own, without those whose names begin with `leave_out`."""
    state = lay_out(pipeline) | (extra or {})
    safetensors.torch.save_file({n: t.contiguous().clone() for n, t in state.items() if not n.startswith(leave_out)}, str(path))
    return path


def lay_out(pipeline: Any) -> dict[str, torch.Tensor]:
    """A pipeline's weights in the layout of CompVis (one text encoder) or Stability AI (two)."""
    state = {f"model.diffusion_model.{name}": t for name, t in to_ldm_unet(pipeline.unet).items()}
    state |= {f"first_stage_model.{name}": t for name, t in to_ldm_vae(pipeline.vae).items()}
    second, first = getattr(pipeline, "text_encoder_2", None), pipeline.text_encoder
    if first is not None:
        prefix = "conditioner.embedders.0.transformer.text_model." if second is not None else "cond_stage_model.transformer.text_model."
        state |= {prefix + name: t for name, t in first.state_dict().items()}
        state[f"{prefix}embeddings.position_ids"] = torch.arange(77)[None]  # old files have it
    if second is not None:
        prefix = f"conditioner.embedders.{int(first is not None)}.model."
        state |= {prefix + name: t for name, t in to_open_clip(second).items()}
    return state


def to_ldm_unet(unet: Any) -> dict[str, torch.Tensor]:
    """A UNet's weights under LDM's names."""
    per_block = unet.config.layers_per_block + 1
    with_attention = ["CrossAttn" in name for name in unet.config.up_block_types]

    def rename(name: str) -> str:
        for own, other in _UNET.items():
            if name.startswith(f"{own}."):
                return _rename_resnet(other + name.removeprefix(own))
        match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
        assert match, name
        side, block, part, number, tail = match[1], int(match[2]), match[3], int(match[4]), match[5]
        if part == "downsamplers":
            return f"input_blocks.{(block + 1) * per_block}.0.op.{tail.removeprefix('conv.')}"
        if part == "upsamplers":
            return f"output_blocks.{block * per_block + per_block - 1}.{2 if with_attention[block] else 1}.{tail}"
        place = block * per_block + number + (1 if side == "down" else 0)
        where = f"{'input' if side == 'down' else 'output'}_blocks.{place}"
        return f"{where}.1.{tail}" if part == "attentions" else _rename_resnet(f"{where}.0.{tail}")

    return {rename(name): tensor for name, tensor in unet.state_dict().items()}


def _rename_resnet(name: str) -> str:
    parts = name.rsplit(".", 2)
    return (
        ".".join([parts[0], _RESNET[parts[1]], parts[2]]) if len(parts) == 3 and parts[1] in _RESNET and "transformer" not in name else name
    )


def to_ldm_vae(vae: Any) -> dict[str, torch.Tensor]:
    """A VAE's weights under LDM's names; its attention is made of 1 x 1 convolutions there."""
    last, state = len(vae.config.block_out_channels) - 1, {}
    for name, tensor in vae.state_dict().items():
        own = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        own = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", own)
        own = re.sub(r"up_blocks\.(\d+)\.", lambda m: f"up.{last - int(m[1])}.", own).replace(".resnets.", ".block.")
        own = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", own).replace("upsamplers.0.", "upsample.")
        own = re.sub(r"mid_block\.block\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", own)
        if "mid_block.attentions.0." in own:
            head, _, tail = own.partition("mid_block.attentions.0.")
            part, _, kind = tail.rpartition(".")
            own = f"{head}mid.attn_1.{_VAE_ATTENTION[part]}.{kind}"
            tensor = tensor[:, :, None, None] if kind == "weight" and tensor.ndim == 2 else tensor
        state[own] = tensor
    return state


def to_open_clip(encoder: Any) -> dict[str, torch.Tensor]:
    """A CLIP text encoder with a projection under OpenCLIP's names: queries, keys and values in one, the projection turned."""
    source = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    state = {
        "token_embedding.weight": source.pop("embeddings.token_embedding.weight"),
        "positional_embedding": source.pop("embeddings.position_embedding.weight"),
        "text_projection": source.pop("text_projection.weight").T,
        "logit_scale": torch.tensor(4.6),
    }
    for layer in range(encoder.config.num_hidden_layers):
        for kind in ("weight", "bias"):
            parts = [source.pop(f"encoder.layers.{layer}.self_attn.{p}_proj.{kind}") for p in "qkv"]
            state[f"transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(parts)
    for name, tensor in source.items():
        own = name.replace("encoder.layers.", "transformer.resblocks.")
        for ours, theirs in _OPEN_CLIP.items():
            own = own.replace(ours, theirs)
        state[own] = tensor
    return state


_FLUX = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "context_embedder": "txt_in",
    "x_embedder": "img_in",
    "proj_out": "final_layer.linear",
}
_DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
}
_NORMS = {"norm_q": "img_attn.norm.query_norm", "norm_k": "img_attn.norm.key_norm"}
_NORMS |= {"norm_added_q": "txt_attn.norm.query_norm", "norm_added_k": "txt_attn.norm.key_norm"}


def to_bfl(transformer: Any) -> dict[str, torch.Tensor]:
    """A Flux transformer's weights under the names of Black Forest Labs: what reads the same input is one matrix there."""
    source, state = dict(transformer.state_dict()), {}
    for own, other in _FLUX.items():
        for kind in ("weight", "bias"):
            if f"{own}.{kind}" in source:
                state[f"{other}.{kind}"] = source.pop(f"{own}.{kind}")
    for kind in ("weight", "bias"):
        scale, shift = source.pop(f"norm_out.linear.{kind}").chunk(2)
        state[f"final_layer.adaLN_modulation.1.{kind}"] = torch.cat([shift, scale])
    for block in range(transformer.config.num_layers):
        _take_double(source, state, f"transformer_blocks.{block}.", f"double_blocks.{block}.")
    for block in range(transformer.config.num_single_layers):
        _take_single(source, state, f"single_transformer_blocks.{block}.", f"single_blocks.{block}.")
    assert not source, sorted(source)
    return state


def _take_double(source: dict[str, torch.Tensor], state: dict[str, torch.Tensor], own: str, other: str) -> None:
    for kind in ("weight", "bias"):
        for ours, theirs in _DOUBLE.items():
            state[f"{other}{theirs}.{kind}"] = source.pop(f"{own}{ours}.{kind}")
        state[f"{other}img_attn.qkv.{kind}"] = torch.cat([source.pop(f"{own}attn.to_{p}.{kind}") for p in "qkv"])
        state[f"{other}txt_attn.qkv.{kind}"] = torch.cat([source.pop(f"{own}attn.add_{p}_proj.{kind}") for p in "qkv"])
    for ours, theirs in _NORMS.items():
        state[f"{other}{theirs}.scale"] = source.pop(f"{own}attn.{ours}.weight")


def _take_single(source: dict[str, torch.Tensor], state: dict[str, torch.Tensor], own: str, other: str) -> None:
    for kind in ("weight", "bias"):
        state[f"{other}modulation.lin.{kind}"] = source.pop(f"{own}norm.linear.{kind}")
        names = (*(f"attn.to_{p}" for p in "qkv"), "proj_mlp")
        state[f"{other}linear1.{kind}"] = torch.cat([source.pop(f"{own}{name}.{kind}") for name in names])
        state[f"{other}linear2.{kind}"] = source.pop(f"{own}proj_out.{kind}")
    for side, theirs in (("q", "query_norm"), ("k", "key_norm")):
        state[f"{other}norm.{theirs}.scale"] = source.pop(f"{own}attn.norm_{side}.weight")
