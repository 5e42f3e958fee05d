"""LoRAs on the pocket UNet and text encoders with random numbers, written as the trainer writes them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
from diffusers import StableDiffusionXLPipeline
from peft import LoraConfig, get_peft_model_state_dict

from backends.contract.base_models import MODELS

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
EVERYTHING = (*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")


def load_pocket() -> StableDiffusionXLPipeline:
    """A fresh plain pipeline of diffusers, without any code of ours."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(str(MODELS / "pocket-sdxl"), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def write_adapter(
    path: Path,
    seed: int = 0,
    *,
    rank: int = 4,
    alpha: float = 8,
    layers: tuple[str, ...] = ATTENTION,
    text: bool = False,
    size: float = 0.05,
) -> Path:
    """A LoRA with random numbers at `path`; a `size` of 0.05 changes every picture plainly."""
    state, settings = _layout(rank, alpha, layers, text)
    generator = torch.Generator().manual_seed(seed)
    numbers = {key: torch.randn(shape, generator=generator) * size for key, shape in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(numbers, str(path), {"lora_adapter_metadata": settings, "modelspec.trigger_phrase": "zog", "format": "pt"})
    return path


@cache
def _layout(rank: int, alpha: float, layers: tuple[str, ...], text: bool) -> tuple[dict[str, torch.Size], str]:
    pipeline = load_pocket()
    shapes: dict[str, torch.Size] = {}
    settings: dict[str, object] = {}
    targets = {"unet": layers, **({"text_encoder": TEXT, "text_encoder_2": TEXT} if text else {})}
    for component, wanted in targets.items():
        module = getattr(pipeline, component)
        module.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(wanted)), adapter_name="default")
        shapes |= {f"{component}.{k}": t.shape for k, t in get_peft_model_state_dict(module, adapter_name="default").items()}
        config = module.peft_config["default"].to_dict()
        settings |= {f"{component}.{k}": sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    return shapes, json.dumps(settings, indent=2, sort_keys=True)
