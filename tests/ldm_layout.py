"""Tiny models of each family's build with random numbers, and the layout of the original repositories that people's files have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import safetensors.torch
import torch
import transformers
from accelerate import init_empty_weights

from backends.contract.clip_vocabulary import CONFIGS
from backends.engine.layouts import original
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
    """A pipeline's weights in the layout of CompVis (one text encoder) or Stability AI (two), by the exporter's own names."""
    state = original.lay_out_unet(pipeline.unet.state_dict(), layers_per_block=pipeline.unet.config.layers_per_block)
    state |= original.lay_out_vae(pipeline.vae.state_dict())
    second, first = getattr(pipeline, "text_encoder_2", None), pipeline.text_encoder
    if first is not None:
        prefix = original.TEXT_XL if second is not None else original.TEXT
        state |= original.lay_out_clip(first.state_dict(), prefix)
        state[f"{prefix}text_model.embeddings.position_ids"] = torch.arange(77)[None]  # old files have it
    if second is not None:
        prefix = f"conditioner.embedders.{int(first is not None)}.model."  # the refiner has only the second one
        found = original.lay_out_open_clip(second.state_dict())
        state |= {prefix + name.removeprefix(original.TEXT_XL_2): t for name, t in found.items()}
        state[f"{prefix}logit_scale"] = torch.tensor(4.6)
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
