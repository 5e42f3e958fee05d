"""Fourth stage: the pocket base itself, a UNet and two CLIP text encoders in SDXL's layout, trained on latents."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from assets.build.compose import SIDE_PX
from assets.build.concepts import STYLES, caption, name_thing
from assets.build.latents import Latents, Subject
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.settings import BaseSettings, Settings
from assets.build.tokenizer import MAX_TOKENS

log = logging.getLogger(__name__)

HEAD_WIDTH = 32
NUM_TIMESTEPS = 1000
TIME_WIDTH = 32
NUM_TIME_IDS = 6


class Base(nn.Module):
    """What is trained together: `text_encoder`, `text_encoder_2` and `unet`."""

    def __init__(self, tokenizer: CLIPTokenizer, settings: BaseSettings, latent_channels: int) -> None:
        super().__init__()
        small, large = settings.text_widths
        self.text_encoder = CLIPTextModel(_text_config(tokenizer, small, settings.text_layers))
        self.text_encoder_2 = CLIPTextModelWithProjection(_text_config(tokenizer, large, settings.text_layers))
        for encoder in (self.text_encoder, self.text_encoder_2):
            nn.init.normal_(encoder.get_input_embeddings().weight, std=0.3)
        self.unet = _build_unet(settings, latent_channels)
        # With so few tokens plain attention is a fifth faster on a CPU than the fused one.
        self.unet.set_attn_processor(AttnProcessor())

    def encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(states, pooled) of token ids (n, MAX_TOKENS), taken where SDXL takes them: before the last layer."""
        first = self.text_encoder(ids, output_hidden_states=True)
        second = self.text_encoder_2(ids, output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds


def _text_config(tokenizer: CLIPTokenizer, width: int, layers: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD_WIDTH,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _build_unet(settings: BaseSettings, latent_channels: int) -> UNet2DConditionModel:
    crossed = ("CrossAttnDownBlock2D",) * (len(settings.channels) - 1)
    return UNet2DConditionModel(
        sample_size=SIDE_PX // 8,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=settings.channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", *crossed),
        up_block_types=(*(name.replace("Down", "Up") for name in crossed), "UpBlock2D"),
        attention_head_dim=[width // HEAD_WIDTH for width in settings.channels],  # the number of heads, by SDXL's historical name
        transformer_layers_per_block=1,
        cross_attention_dim=sum(settings.text_widths),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=settings.text_widths[1] + NUM_TIME_IDS * TIME_WIDTH,
        norm_num_groups=16,
    )


def build_noise_scheduler() -> DDIMScheduler:
    """v-prediction that ends in pure noise (Lin et al. 2023, arXiv:2305.08891), so that dark and bright backgrounds come out."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=NUM_TIMESTEPS,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def vary_caption(subject: Subject, rng: Random) -> str:
    """Mostly the plain form; at times without style, without background, with a comma, or empty (for guidance)."""
    vendor, name, colour = subject
    kind = rng.random()
    style = vendor if rng.random() < 0.5 else None
    if kind < 0.10:
        return ""
    if kind < 0.18:
        return caption(name, None, style)
    if kind < 0.24:
        return f"{name_thing(name)}, {colour} background" + (f", {STYLES[style]}" if style else "")
    return caption(name, colour, style)


def vary_time_ids(count: int, rng: Random) -> Tensor:
    """(count, 6): mostly the honest 128 px, else other sizes and crops, so that no trainer's ids derail the model."""
    rows = []
    for _ in range(count):
        row = [SIDE_PX, SIDE_PX, 0, 0, SIDE_PX, SIDE_PX]
        if rng.random() < 0.4:
            row[:2] = [rng.choice((96, 144, 192, 256, 384, 512, 768, 1024)) for _ in range(2)]
        if rng.random() < 0.15:
            row[2:4] = [rng.randrange(65) for _ in range(2)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float32)


def draw_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """(count,) whole numbers in 0 to 999, one from each of `count` equal parts: every step sees all noise levels."""
    position = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (position * NUM_TIMESTEPS).long().clamp(0, NUM_TIMESTEPS - 1)


def mix(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
    """(noisy latents, velocity to predict) (Salimans and Ho 2022, arXiv:2202.00512, appendix D).

    `alphas` (NUM_TIMESTEPS,) is the noise scheduler's cumulative product.
    """
    signal, spread = (power.sqrt().view(-1, 1, 1, 1) for power in (alphas[timesteps], 1 - alphas[timesteps]))
    return signal * latents + spread * noise, signal * noise - spread * latents


def compute_v_loss(base: Base, latents: Tensor, ids: Tensor, time_ids: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity."""
    noisy, velocity = mix(latents, noise, timesteps, alphas)
    with torch.autocast("cpu", torch.bfloat16):
        states, pooled = base.encode(ids)
        added = {"text_embeds": pooled, "time_ids": time_ids}
        predicted = base.unet(noisy, timesteps, states, added_cond_kwargs=added).sample
    return (predicted.float() - velocity).pow(2).mean()


def save_base(base: Base, tokenizer: CLIPTokenizer, vae_folder: Path, out: Path) -> None:
    """Writes the whole pipeline in half precision, as diffusers loads it."""
    vae = AutoencoderKL.from_pretrained(vae_folder)
    # Otherwise the finished model would carry the path of the folder in which it was built.
    vae.register_to_config(_name_or_path="")
    pipe = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=base.text_encoder,
        text_encoder_2=base.text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=base.unet,
        scheduler=build_noise_scheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipe.to(torch.float16).save_pretrained(out, safe_serialization=True)


def train_base(settings: Settings, latents: Latents, tokenizer: CLIPTokenizer, folder: Path) -> Trained:
    """Trains UNet and text encoders on the latents; the running average of their weights is the result."""
    own = settings.base
    torch.manual_seed(settings.seed)
    base = Base(tokenizer, own, latents.values.shape[1])
    alphas = build_noise_scheduler().alphas_cumprod

    def compute_loss(step: Step) -> Tensor:
        chosen = torch.randint(0, len(latents.subjects), (own.batch,), generator=step.generator)
        clean = latents.values[chosen].float()
        noise = torch.randn(clean.shape, generator=step.generator)
        timesteps = draw_timesteps(own.batch, step.generator)
        texts = [vary_caption(latents.subjects[i], step.rng) for i in chosen.tolist()]
        ids = tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids
        return compute_v_loss(base, clean, ids, vary_time_ids(own.batch, step.rng), noise, timesteps, alphas)

    schedule = Schedule(own.rate, own.warmup_steps, decay_from=0.35)
    job = Job("base", base, compute_loss, schedule, averaging=own.averaging)
    return train(job, folder, steps=own.steps, seed=settings.seed, save_every=settings.save_every)
