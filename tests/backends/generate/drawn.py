"""What tests of drawing share: our pictures, and the same ones by diffusers and peft alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file

from backends.contract.base_models import BASE_MODELS, MODELS
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig
from tests.adapters import denoiser_of, load_pocket

PROMPT, STEPS, SEED = "a cat on a blue background", 3, 7
BASES = ("pocket-sd15", "pocket-sdxl", "pocket-flux")
EDIT_BASES = BASES[:2]


def config(base: str, *uses: tuple[Path, float], **values: Any) -> DrawConfig:
    """Settings of a quick picture."""
    loras = [{"path": str(path), "weight": weight} for path, weight in uses]
    quick = {"prompt": PROMPT, "base_model": base, "num_inference_steps": STEPS, "seed": SEED}
    return parse_config(DrawConfig, {**quick, **values, "loras": loras})


def draw(pipeline: Any, settings: DrawConfig) -> np.ndarray:
    """One picture of ours, as the worker asks for it."""
    pipeline.check(settings)
    return np.asarray(pipeline.draw([settings], lambda done: None)[0])


def plain(base: str, pipeline: Any = None, **values: Any) -> np.ndarray:
    """The same picture by diffusers alone, as anybody would write it."""
    pipeline = pipeline or load_pocket(base)
    known = BASE_MODELS[base]
    options: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": known.guidance_scale}
    options |= {"width": known.resolution, "height": known.resolution}
    if known.family == "flux":
        options["max_sequence_length"] = pipeline.tokenizer_2.model_max_length
    options |= values
    prompt = options.pop("prompt", PROMPT)
    return np.asarray(pipeline(prompt, generator=torch.Generator("cpu").manual_seed(SEED), **options).images[0])


def with_lora(base: str, path: Path, scale: float = 1.0) -> Any:
    """A plain pipeline with a LoRA, by diffusers."""
    pipeline = load_pocket(base)
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="adapter_plain")
    pipeline.set_adapters(["adapter_plain"], [scale])
    return pipeline


def with_peft(base: str, path: Path, scale: float = 1.0) -> Any:
    """A plain pipeline with what only peft reads, put in by peft."""
    pipeline = load_pocket(base)
    with safe_open(str(path), "pt") as file:
        settings = json.loads(file.metadata()["peft_adapter_metadata"])
    state = load_file(path)
    for component in {key.partition(".")[0] for key in state}:
        own = {k.removeprefix(f"{component}."): v for k, v in settings.items() if k.startswith(f"{component}.")}
        kind = {"LOHA": peft.LoHaConfig, "LOKR": peft.LoKrConfig}[own["peft_type"]]
        names = (
            "r",
            "alpha",
            "target_modules",
            "rank_dropout",
            "module_dropout",
            "use_effective_conv2d",
            "decompose_both",
            "decompose_factor",
        )
        module = getattr(pipeline, component)
        peft.inject_adapter_in_model(kind(**{n: own[n] for n in names if n in own}), module, "plain")
        peft.set_peft_model_state_dict(module, {k.removeprefix(f"{component}."): t for k, t in state.items()}, adapter_name="plain")
        module.eval()
        for layer in module.modules():
            if hasattr(layer, "set_scale") and hasattr(layer, "base_layer"):
                layer.set_scale("plain", scale)
    return pipeline


def with_weights(base: str, path: Path) -> Any:
    """A plain pipeline whose denoiser is the file's."""
    pipeline = load_pocket(base)
    getattr(pipeline, denoiser_of(base)).load_state_dict(load_file(path))
    return pipeline


def editor(base: str, path: Path) -> Any:
    """Diffusers' own pipeline for edits over a UNet that is loaded from the file, as somebody else would use it."""
    source = load_pocket(base)
    settings = UNet2DConditionModel.load_config(str(MODELS / base / "unet"))
    unet = UNet2DConditionModel.from_config({**settings, "in_channels": 2 * settings["in_channels"]})
    unet.load_state_dict(load_file(path))
    shared = {"vae": source.vae, "text_encoder": source.text_encoder, "tokenizer": source.tokenizer, "unet": unet.eval()}
    if BASE_MODELS[base].family == "sdxl":
        shared |= {"text_encoder_2": source.text_encoder_2, "tokenizer_2": source.tokenizer_2, "add_watermarker": False}
        made: Any = StableDiffusionXLInstructPix2PixPipeline(
            **shared, scheduler=source.scheduler, force_zeros_for_empty_prompt=source.config.force_zeros_for_empty_prompt
        )
    else:
        made = StableDiffusionInstructPix2PixPipeline(
            **shared, scheduler=source.scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    made.set_progress_bar_config(disable=True)
    return made
