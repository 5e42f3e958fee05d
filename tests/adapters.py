"""Results of trainings with random numbers on the pocket models, written as the trainer writes them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from diffusers import DiffusionPipeline
from peft import get_peft_model_state_dict

from backends.contract.base_models import BASE_MODELS, MODELS
from backends.contract.settings.lora import FLUX_LORA_LAYERS
from backends.engine.adapters import LYCORIS, AdapterShape, build_peft_config

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
EVERYTHING = (*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut")
FLUX_EVERYTHING = tuple(n for n in FLUX_LORA_LAYERS["attention+ff"] if n != "proj_out")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")
ARCHITECTURES = {"sd15": "stable-diffusion-v1", "sdxl": "stable-diffusion-xl-v1-base", "flux": "flux-1-dev"}


def load_pocket(base: str = "pocket-sdxl") -> Any:
    """A fresh plain pipeline of diffusers, without any code of ours."""
    pipeline = DiffusionPipeline.from_pretrained(str(MODELS / base), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def denoiser_of(base: str) -> str:
    """What the component that predicts is called."""
    return "transformer" if BASE_MODELS[base].family == "flux" else "unet"


def write_adapter(
    path: Path,
    seed: int = 0,
    *,
    base: str = "pocket-sdxl",
    variant: str = "lora",
    rank: int = 4,
    alpha: float = 8,
    layers: tuple[str, ...] = ATTENTION,
    text: bool = False,
) -> Path:
    """A LoRA with random numbers at `path`, of a size that changes every picture plainly."""
    state, settings = _layout(base, variant, rank, alpha, layers, text)
    generator = torch.Generator().manual_seed(seed)
    numbers = {}
    for key, values in state.items():
        drawn = torch.randn(values.shape, generator=generator) * 0.05
        numbers[key] = values * (1 + drawn) if "magnitude" in key else drawn * (4 if variant in LYCORIS else 1)
    notes = "peft_adapter_metadata" if variant in LYCORIS else "lora_adapter_metadata"
    header = {notes: settings, "modelspec.trigger_phrase": "zog", "format": "pt", **_origin(base, "/lora")}
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(numbers, str(path), header)
    return path


def write_whole(
    path: Path, seed: int = 0, *, base: str = "pocket-sdxl", edits: bool = False, size: float = 0.02, second: float = 0.5
) -> Path:
    """All weights of a base's UNet, each a little off; with `edits` its first layer sees a second picture, by weights so large."""
    component = denoiser_of(base)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, values in getattr(load_pocket(base), component).state_dict().items():
        state[key] = values + torch.randn(values.shape, generator=generator) * size * values.std().nan_to_num(0.0)
    if edits:
        first = state["conv_in.weight"]
        seen = torch.randn(first.shape, generator=generator) * first.std() * second
        state["conv_in.weight"] = torch.cat([first, seen], dim=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"darkroom.component": component, "modelspec.trigger_phrase": "zog", "format": "pt", **_origin(base, "")}
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, str(path), notes)
    return path


def _origin(base: str, suffix: str) -> dict[str, str]:
    recipe = {"backend": f"{BASE_MODELS[base].family}/text_to_image", "config": {"pretrained_model_name_or_path": base}}
    architecture = ARCHITECTURES[BASE_MODELS[base].family] + suffix
    return {"modelspec.architecture": architecture, "ss_sd_model_name": base, "darkroom.recipe": json.dumps(recipe)}


@cache
def _layout(base: str, variant: str, rank: int, alpha: float, layers: tuple[str, ...], text: bool) -> tuple[dict[str, torch.Tensor], str]:
    pipeline, component = load_pocket(base), denoiser_of(base)
    state: dict[str, torch.Tensor] = {}
    settings: dict[str, object] = {}
    encoders = [name for name in ("text_encoder", "text_encoder_2") if text and "T5" not in type(getattr(pipeline, name, None)).__name__]
    targets = {component: list(layers), **{name: list(TEXT) for name in encoders if getattr(pipeline, name, None) is not None}}
    shape = AdapterShape(rank=rank, alpha=alpha, variant=variant)
    for name, wanted in targets.items():
        module = getattr(pipeline, name)
        module.add_adapter(build_peft_config(shape, wanted), adapter_name="default")
        state |= {f"{name}.{k}": t.detach().clone() for k, t in get_peft_model_state_dict(module, adapter_name="default").items()}
        config = module.peft_config["default"].to_dict()
        settings |= {f"{name}.{k}": sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    return state, json.dumps(settings, indent=2, sort_keys=True)
