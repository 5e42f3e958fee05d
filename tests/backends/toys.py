"""Base models of ten thousand random numbers, one of each family, in the diffusers layout."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from backends.contract.base_models import MODELS

UNET: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": (1, 2),
    "transformer_layers_per_block": 1,
}
TIMES: dict[str, Any] = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 16 + 6 * 4,
}


def build_base(folder: Path, family: str = "sdxl", *, prediction_type: str = "v_prediction", seed: int = 0, vae: Any = None) -> Path:
    """A random pipeline of the family; `vae` has settings of its VAE beside the usual ones."""
    torch.manual_seed(seed)
    build = {"sdxl": _build_sdxl, "sd15": _build_sd15, "flux": _build_flux}[family]
    build(_scheduler(prediction_type), vae or {}).save_pretrained(folder)
    return folder


def _build_sdxl(scheduler: Any, vae: dict[str, Any]) -> StableDiffusionXLPipeline:
    unet = UNet2DConditionModel(**UNET, **TIMES, cross_attention_dim=8 + 16, use_linear_projection=True)
    return StableDiffusionXLPipeline(
        vae=_vae(**vae),
        text_encoder=CLIPTextModel(_text(8)),
        text_encoder_2=CLIPTextModelWithProjection(_text(16)),  # two widths, by which diffusers tells them apart in one file
        tokenizer=CLIPTokenizer.from_pretrained(MODELS / "pocket-sdxl" / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(MODELS / "pocket-sdxl" / "tokenizer_2"),
        unet=unet,
        scheduler=scheduler,
    )


def _build_sd15(scheduler: Any, vae: dict[str, Any]) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_vae(**vae),
        text_encoder=CLIPTextModel(_text(16)),
        tokenizer=CLIPTokenizer.from_pretrained(MODELS / "pocket-sd15" / "tokenizer"),
        unet=UNet2DConditionModel(**UNET, cross_attention_dim=16),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _build_flux(_scheduler: Any, vae: dict[str, Any]) -> FluxPipeline:
    words = {"vocab_size": 309, "d_model": 24, "d_kv": 12, "d_ff": 32, "num_layers": 1, "num_heads": 2, "feed_forward_proj": "gated-gelu"}
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=_vae(**{"shift_factor": 0.2, "scaling_factor": 0.36, **vae}),
        text_encoder=CLIPTextModel(_text(16)),
        tokenizer=CLIPTokenizer.from_pretrained(MODELS / "pocket-flux" / "tokenizer"),
        text_encoder_2=T5EncoderModel(T5Config(**words, decoder_start_token_id=0)),
        tokenizer_2=T5Tokenizer.from_pretrained(MODELS / "pocket-flux" / "tokenizer_2"),
        transformer=transformer,
    )


def _vae(**settings: Any) -> AutoencoderKL:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    shape = {"block_out_channels": (4, 4, 4, 4), "layers_per_block": 1, "norm_num_groups": 2, "latent_channels": 4}
    return AutoencoderKL(**{**blocks, **shape, **settings})


def _text(width: int) -> CLIPTextConfig:
    text = {"hidden_size": width, "intermediate_size": 16, "num_attention_heads": 1, "num_hidden_layers": 2, "vocab_size": 1909}
    return CLIPTextConfig(**text, max_position_embeddings=24, projection_dim=width, bos_token_id=0, eos_token_id=1, pad_token_id=1)


def _scheduler(prediction_type: str) -> DDIMScheduler:
    terminal = {"rescale_betas_zero_snr": prediction_type == "v_prediction", "timestep_spacing": "trailing"}
    return DDIMScheduler(prediction_type=prediction_type, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1, **terminal)


def draw_pictures(folder: Path, sizes: list[tuple[int, int]], *, seed: int = 0) -> list[dict[str, Any]]:
    """Random pictures of the given sizes, as rows of a manifest; the first one is held out."""
    folder.mkdir(parents=True, exist_ok=True)
    random, rows = np.random.default_rng(seed), []
    for number, (width, height) in enumerate(sizes):
        path = folder / f"{number:02d}.png"
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        identity = hashlib.sha256(path.read_bytes()).hexdigest()
        row = {"id": identity, "file": str(path), "caption": f"zog on a {['red', 'blue', 'green'][number % 3]} background"}
        rows.append({**row, "width": width, "height": height, "held_out": number == 0})
    return rows


def draw_pairs(folder: Path, sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Random pairs of pictures of the given sizes, as rows of a manifest; the first one is held out."""
    before, after = draw_pictures(folder / "before", sizes, seed=1), draw_pictures(folder / "after", sizes)
    return [
        {**b, "id": f"{a['id'][:20]}{b['id'][:20]}", "caption": f"make it {n}", "input_file": a["file"], "input_id": a["id"]}
        for n, (a, b) in enumerate(zip(before, after, strict=True))
    ]
