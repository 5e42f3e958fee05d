"""The third family: a transformer, CLIP and T5 in Flux's layout, on the finished base's VAE and vocabulary.

It learns the plain flow; `distil.py` then teaches it to paint with guidance in one pass. CLIP starts from the base's
second text encoder, the transformer and T5 from random weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from assets.build.base import vary_caption
from assets.build.latents import Latents
from assets.build.loop import Job, Schedule, Step, Trained, train
from assets.build.settings import FluxSettings, Settings
from assets.build.tokenizer import MAX_TOKENS, build_t5_tokenizer

# Every block starts as the identity (Peebles and Xie 2022, arXiv:2212.09748, section 3.2).
SILENT_AT_FIRST = ("norm1.linear", "norm1_context.linear", "norm.linear", "norm_out.linear")
LOWEST_SIGMA = 1e-3


class Flux(nn.Module):
    """What is trained together: `transformer`, `text_encoder` (CLIP, begun from the base in `base_folder`) and `text_encoder_2` (T5)."""

    def __init__(self, base_folder: Path, settings: FluxSettings) -> None:
        super().__init__()
        self.tokenizer = CLIPTokenizer.from_pretrained(base_folder / "tokenizer")
        self.tokenizer_2 = build_t5_tokenizer()
        self.text_encoder = CLIPTextModel.from_pretrained(base_folder / "text_encoder_2", dtype=torch.float32)
        self.text_encoder_2 = T5EncoderModel(_t5_config(self.tokenizer_2, settings))
        channels = AutoencoderKL.load_config(base_folder / "vae")["latent_channels"]
        self.transformer = _build_transformer(settings, channels, self.text_encoder.config.hidden_size)
        keep_residuals_whole(self.transformer)

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """(pooled, states) of the texts: CLIP's one vector, T5's MAX_TOKENS."""
        first, second = (
            tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids
            for tokenizer in (self.tokenizer, self.tokenizer_2)
        )
        return self.text_encoder(first).pooler_output, self.text_encoder_2(second)[0]


def _t5_config(tokenizer: T5TokenizerFast, settings: FluxSettings) -> T5Config:
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=settings.t5_width,
        d_kv=32,
        d_ff=2 * settings.t5_width,
        num_layers=settings.t5_layers,
        num_heads=settings.t5_width // 32,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=32,
    )


def _build_transformer(settings: FluxSettings, latent_channels: int, pooled_width: int) -> FluxTransformer2DModel:
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * latent_channels,
        num_layers=settings.double_layers,
        num_single_layers=settings.single_layers,
        attention_head_dim=sum(settings.rope_axes),
        num_attention_heads=settings.heads,
        joint_attention_dim=settings.t5_width,
        pooled_projection_dim=pooled_width,
        guidance_embeds=False,
        axes_dims_rope=settings.rope_axes,
    )
    for name, module in transformer.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
            if name.endswith(SILENT_AT_FIRST) or name == "proj_out":
                nn.init.zeros_(module.weight)
    return transformer


def keep_residuals_whole(transformer: FluxTransformer2DModel) -> None:
    """Keeps both streams in float32 under autocast.

    Otherwise they are bfloat16 from their embedding on, and so is the timestep, which the model casts to their type: it
    learns noise levels rounded to 1/256 and is then asked for those in between.
    """
    for embedder in (transformer.x_embedder, transformer.context_embedder):
        embedder.register_forward_hook(_to_float)


def _to_float(_module: nn.Module, _given: object, embedded: Tensor) -> Tensor:
    return embedded.float()


def draw_sigmas(count: int, generator: torch.Generator) -> Tensor:
    """(count,) noise levels in 0 to 1, one from each of `count` equal parts; every second one drawn towards the middle.

    In the middle the thing takes shape (Esser et al. 2024, arXiv:2403.03206, section 3.1).
    """
    position = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    normal = torch.special.ndtri(position.clamp(1e-3, 1 - 1e-3))
    return torch.where(torch.arange(count) % 2 == 0, position, torch.sigmoid(0.2 + normal)).clamp(LOWEST_SIGMA, 1)


def pack(latents: Tensor) -> Tensor:
    """(n, c, h, w) latents as Flux's tokens (n, h/2 * w/2, 4c)."""
    packed: Tensor = FluxPipeline._pack_latents(latents, *latents.shape)
    return packed


def predict(
    transformer: FluxTransformer2DModel, tokens: Tensor, sigmas: Tensor, text: tuple[Tensor, Tensor], guidance: Tensor | None
) -> Tensor:
    """The velocity that the transformer sees in noisy `tokens` of a square picture."""
    pooled, states = text
    side = round(tokens.shape[1] ** 0.5)
    # With so few tokens plain attention takes a quarter less time a step on a CPU than the fused one.
    with sdpa_kernel(SDPBackend.MATH):
        velocity: Tensor = transformer(
            hidden_states=tokens,
            timestep=sigmas,
            guidance=guidance,
            pooled_projections=pooled,
            encoder_hidden_states=states,
            txt_ids=torch.zeros(states.shape[1], 3),
            img_ids=FluxPipeline._prepare_latent_image_ids(1, side, side, tokens.device, tokens.dtype),
            return_dict=False,
        )[0]
    return velocity.float()


def add_noise(tokens: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """The straight way from picture (0) to noise (1) (Lipman et al. 2022, arXiv:2210.02747)."""
    level = sigmas.view(-1, 1, 1)
    return (1 - level) * tokens + level * noise


def compute_flow_loss(model: Flux, tokens: Tensor, texts: list[str], noise: Tensor, sigmas: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity, noise minus picture."""
    with torch.autocast("cpu", torch.bfloat16):
        predicted = predict(model.transformer, add_noise(tokens, noise, sigmas), sigmas, model.encode(texts), None)
    return (predicted - (noise - tokens)).pow(2).mean()


def train_flux(settings: Settings, latents: Latents, base_folder: Path, folder: Path) -> Trained:
    """Trains transformer and text encoders on the latents; the running average of their weights is the result."""
    own = settings.flux
    torch.manual_seed(settings.seed)
    model = Flux(base_folder, own)

    def compute_loss(step: Step) -> Tensor:
        chosen = torch.randint(0, len(latents.subjects), (own.batch,), generator=step.generator)
        tokens = pack(latents.values[chosen].float())
        noise = torch.randn(tokens.shape, generator=step.generator)
        texts = [vary_caption(latents.subjects[i], step.rng) for i in chosen.tolist()]
        return compute_flow_loss(model, tokens, texts, noise, draw_sigmas(own.batch, step.generator))

    job = Job("flux", model, compute_loss, Schedule(own.rate, own.warmup_steps, decay_from=0.35, floor=0.0), averaging=own.averaging)
    return train(job, folder, steps=own.steps, seed=settings.seed, save_every=settings.save_every)


def build_flow_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Flux's own: noise levels shifted by the number of tokens."""
    return FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )


def save_flux(model: Flux, base_folder: Path, out: Path, *, transformer: FluxTransformer2DModel | None = None) -> None:
    """Writes the whole pipeline in half precision, as diffusers loads it; with another transformer where one is given."""
    vae = AutoencoderKL.from_pretrained(base_folder / "vae")
    # The base's latents are centred; Flux's code wants that as a number.
    vae.register_to_config(_name_or_path="", shift_factor=0.0)
    pipe = FluxPipeline(
        scheduler=build_flow_scheduler(),
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        text_encoder_2=model.text_encoder_2,
        tokenizer_2=model.tokenizer_2,
        transformer=transformer or model.transformer,
    )
    pipe.to(torch.float16).save_pretrained(out, safe_serialization=True)
