"""Base models of the published sizes with random numbers, from the shipped configs: nothing is fetched, and a step costs the same.

Text encoders take no part in a step where what they say is kept: on Flux a small T5 of the same width stands in for the published
one, whose config is not shipped. `outline_encoders` has that one too, to count with.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from backends.contract.base_models import MODELS
from backends.contract.clip_vocabulary import CONFIGS
from backends.families.clip_tokenizer import build_tokenizer

Sizes = dict[str, dict[str, Any]]
"""Component -> what of its config is another than shipped; nothing for the published size."""

META = torch.device("meta")
FLUX_WORDS = 512  # tokens that T5 reads
ENCODERS = {"sd15": ("text_encoder",), "sdxl": ("text_encoder", "text_encoder_2"), "flux": ("text_encoder",)}
"""Those whose configs are shipped."""
T5 = {"d_kv": 64, "d_ff": 1024, "num_layers": 1, "num_heads": 4, "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0}

# The encoder of google/t5-v1_1-xxl, which Flux reads with.
T5_XXL = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "feed_forward_proj": "gated-gelu"}


def build_random(family: str, *, device: torch.device, dtype: torch.dtype, sizes: Sizes | None = None) -> Any:
    """The pipeline of a family; its denoiser is of `dtype` and on `device`, all else in float32 on the CPU.

    On the device `meta` there is nothing of it but shapes, and no text encoders.
    """
    folder, changes = CONFIGS / family, sizes or {}
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    kind = getattr(diffusers, index["_class_name"])
    name = "transformer" if family == "flux" else "unet"
    parts: dict[str, Any] = {name: build_denoiser(folder / name, changes.get(name, {}), device=device, dtype=dtype)}
    parts["scheduler"] = getattr(diffusers, index["scheduler"][1]).from_pretrained(folder / "scheduler")
    with _nowhere(device):
        parts["vae"] = diffusers.AutoencoderKL.from_config(_read(folder / "vae", changes.get("vae", {})))
    parts["tokenizer"] = build_tokenizer((CONFIGS / "sd15" if family == "flux" else folder) / "tokenizer")
    if family == "sdxl":
        parts["tokenizer_2"] = build_tokenizer(folder / "tokenizer_2")
    if family == "flux":
        parts["tokenizer_2"] = AutoTokenizer.from_pretrained(MODELS / "pocket-flux" / "tokenizer_2", model_max_length=FLUX_WORDS)
    parts |= _build_encoders(family, changes, parts, device=device)
    if family == "sd15":
        return kind(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    return kind(**parts)


def build_denoiser(folder: Path, changes: dict[str, Any], *, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """What predicts, filled on the device itself: a CPU would draw 12 billion numbers for minutes."""
    config = _read(folder, changes)
    with init_empty_weights():
        module = getattr(diffusers, config["_class_name"]).from_config(config).to(dtype)
    if device != META:
        module.to_empty(device=device)
        fill(module)
    return module


@torch.no_grad()
def fill(module: torch.nn.Module) -> None:
    """Weights as a fresh layer has them, so that no number leaves its type: matrices by their width, norms 1, the rest 0."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=1 / math.sqrt(parameter[0].numel()))
        else:
            parameter.fill_(float(name.endswith("weight")))


def _build_encoders(family: str, changes: Sizes, parts: dict[str, Any], *, device: torch.device) -> dict[str, Any]:
    names = ENCODERS[family]
    folder = CONFIGS / ("sd15" if family == "flux" else family)
    if device == META:
        return dict.fromkeys((*names, "text_encoder_2") if family == "flux" else names)
    built = {}
    for name in names:
        config = _read(folder / name, changes.get(name, {}))
        kind = getattr(transformers, config["architectures"][0])
        built[name] = kind(kind.config_class(**config)).eval()
    if family == "flux":
        width = parts["transformer"].config.joint_attention_dim
        built["text_encoder_2"] = T5EncoderModel(T5Config(**T5, d_model=width, vocab_size=len(parts["tokenizer_2"]))).eval()
    return built


def outline_encoders(family: str) -> list[tuple[Any, int]]:
    """The published text encoders of a family as shapes alone, each with the number of tokens that it reads."""
    folder = CONFIGS / ("sd15" if family == "flux" else family)
    found: list[tuple[Any, int]] = []
    with init_empty_weights(include_buffers=True):
        for name in ENCODERS[family]:
            config = _read(folder / name, {})
            kind = getattr(transformers, config["architectures"][0])
            found.append((kind(kind.config_class(**config)).eval(), config["max_position_embeddings"]))
        if family == "flux":
            found.append((T5EncoderModel(T5Config(**T5_XXL)).eval(), FLUX_WORDS))
    return found


def _nowhere(device: torch.device) -> Any:
    return init_empty_weights() if device == META else torch.device("cpu")


def _read(folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text("utf-8")) | changes
