"""SDXL: two CLIP text encoders, a UNet that is told sizes and cuts, a VAE with four (Pocket: eight) channels."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler, StableDiffusionXLPipeline
from PIL.Image import Image

from backends.contract.buckets import Placement
from backends.families.loading import compute_identity, load_pipeline, load_vae
from backends.families.noise import DiscreteSchedule
from backends.families.protocol import Conditions, LoadOptions, SampleRequest, name_of_source

EMBEDDING, POOLED, TOKENS, TOKENS_2, TIME_IDS = "prompt_embeds", "pooled_prompt_embeds", "input_ids", "input_ids_2", "time_ids"


class Sdxl:
    """One loaded SDXL-shaped base model."""

    name = "sdxl"

    def __init__(self, pipeline: StableDiffusionXLPipeline, options: LoadOptions) -> None:
        self._options = options
        self._pipeline = pipeline
        self._pipeline.set_progress_bar_config(disable=True)
        self.unet, self.vae = pipeline.unet, pipeline.vae
        for module in (self.unet, self.vae, pipeline.text_encoder, pipeline.text_encoder_2):
            module.requires_grad_(False).eval().to(options.device)
        noise_scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
        prediction_type = options.prediction_type or noise_scheduler.config.prediction_type
        pipeline.scheduler.register_to_config(prediction_type=prediction_type)
        self.schedule = DiscreteSchedule(noise_scheduler.alphas_cumprod, prediction_type=prediction_type, device=options.device)
        self.latent_scale = float(self.vae.config.scaling_factor)

    @classmethod
    def load(cls, options: LoadOptions) -> Sdxl:
        """The base model on its device, frozen.

        Raises:
            DarkroomError: When it is not on this machine and cannot be fetched, is gated, or is of another family.
        """
        pipeline = load_pipeline(StableDiffusionXLPipeline, options)
        pipeline.vae = load_vae(options) if options.vae_source else pipeline.vae.float()
        return cls(pipeline, options)

    def adapter_targets(self, layers: Sequence[str], *, text_encoders: bool) -> dict[str, tuple[torch.nn.Module, Any]]:
        """LoRA on the UNet and, where asked, on the attention of both text encoders.

        The first encoder's last layer is left out: SDXL reads the layer before it, so it would never get a gradient.
        """
        targets: dict[str, tuple[torch.nn.Module, Any]] = {"unet": (self.unet, list(layers))}
        if text_encoders:
            read = self._pipeline.text_encoder.config.num_hidden_layers - 1
            numbers = "|".join(str(i) for i in range(read))
            first = rf".*layers\.({numbers})\.self_attn\.(q_proj|k_proj|v_proj|out_proj)"
            targets["text_encoder"] = (self._pipeline.text_encoder, first)
            targets["text_encoder_2"] = (self._pipeline.text_encoder_2, ["q_proj", "k_proj", "v_proj", "out_proj"])
        return targets

    def picture_identity(self) -> str:
        """Fingerprint of the VAE's weights and settings."""
        return compute_identity(self.vae)

    def prompt_identity(self) -> str:
        """Fingerprint of both text encoders and of what an empty caption means."""
        p = self._pipeline
        return compute_identity(p.text_encoder, p.text_encoder_2, extra=f"{p.tokenizer.vocab_size} {p.config.force_zeros_for_empty_prompt}")

    @torch.no_grad()
    def encode_pictures(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the VAE's posterior."""
        posterior = self.vae.encode(pixels.to(self._options.device, self.vae.dtype)).latent_dist
        return posterior.mean.float(), posterior.std.float()

    def tokenize(self, texts: Sequence[str]) -> Conditions:
        """Token ids for both encoders, cut and padded to their length."""
        return {TOKENS: self._token_ids(self._pipeline.tokenizer, texts), TOKENS_2: self._token_ids(self._pipeline.tokenizer_2, texts)}

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditions:
        """Embeddings (B, tokens, width) and pooled embeddings (B, width)."""
        conditions = self._embed({k: v.to(self._options.device) for k, v in self.tokenize(texts).items()})
        if self._pipeline.config.force_zeros_for_empty_prompt:
            empty = torch.tensor([not t for t in texts], device=self._options.device)
            conditions[EMBEDDING] = conditions[EMBEDDING].masked_fill(empty.view(-1, 1, 1), 0)
            conditions[POOLED] = conditions[POOLED].masked_fill(empty.view(-1, 1), 0)
        return conditions

    def picture_conditions(self, width: int, height: int, placement: Placement, flipped: bool) -> Conditions:
        """SDXL's micro-conditioning (arXiv 2307.01952, section 2.2): original size, cut, target size, as (y, x)."""
        bucket = placement.bucket
        left = placement.scaled_width - bucket.width - placement.left if flipped else placement.left
        return {TIME_IDS: torch.tensor([height, width, placement.top, left, bucket.height, bucket.width], dtype=torch.float32)}

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The UNet's prediction."""
        if TOKENS in conditions:
            conditions = {**conditions, **self._embed(conditions)}
        added = {"text_embeds": conditions[POOLED], "time_ids": conditions[TIME_IDS]}
        dtype = self._options.dtype
        return self.unet(noisy.to(dtype), timesteps, conditions[EMBEDDING], added_cond_kwargs=added, return_dict=False)[0]

    def free_encoders(self) -> None:
        """Drops both text encoders; the VAE stays, because sampling decodes with it."""
        self._pipeline.text_encoder = self._pipeline.text_encoder_2 = None
        gc.collect()
        if self._options.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> list[Image]:
        """Pictures by the base model's own sampler; one picture's noise does not depend on its neighbours."""
        p, scale = self._pipeline, int(self._pipeline.vae_scale_factor)  # pixels a latent stands for along one side
        shape = (1, self.unet.config.in_channels, request.height // scale, request.width // scale)
        noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in request.seeds]

        def on_step_end(pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            pipeline._interrupt = request.is_cancelled()
            return values

        with torch.autocast(self._options.device.type, dtype=self._options.dtype, enabled=self._options.dtype != torch.float32):
            return p(
                prompt_embeds=request.conditions[EMBEDDING],
                pooled_prompt_embeds=request.conditions[POOLED],
                negative_prompt_embeds=request.negative[EMBEDDING],
                negative_pooled_prompt_embeds=request.negative[POOLED],
                width=request.width,
                height=request.height,
                num_inference_steps=request.steps,
                guidance_scale=request.guidance_scale,
                latents=torch.cat(noise).to(self._options.device, self._options.dtype),
                callback_on_step_end=on_step_end,
            ).images

    def metadata(self) -> dict[str, str]:
        """Keys that A1111, ComfyUI and the model spec (v1.0.1) read."""
        name = name_of_source(self._options.source)
        return {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_sd_model_name": name,
            "ss_v2": "False",
            "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
            "modelspec.implementation": "diffusers",
            "modelspec.prediction_type": "v" if self.schedule.prediction_type == "v_prediction" else "epsilon",
        }

    def save_gradients_memory(self) -> None:
        """Gradient checkpointing in the UNet and the text encoders."""
        self.unet.enable_gradient_checkpointing()
        for encoder in (self._pipeline.text_encoder, self._pipeline.text_encoder_2):
            encoder.gradient_checkpointing_enable()

    def use_xformers(self) -> str:
        """Switches the UNet to xFormers; the reason why not, or an empty text."""
        try:
            self.unet.enable_xformers_memory_efficient_attention()
        except (ImportError, ModuleNotFoundError, ValueError, NotImplementedError, RuntimeError) as error:
            return str(error).splitlines()[0]
        return ""

    def _token_ids(self, tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
        padded = tokenizer(list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt")
        return padded.input_ids

    def _embed(self, tokens: Conditions) -> Conditions:
        """Second to last hidden states of both encoders side by side, and the second one's pooled output."""
        first = self._pipeline.text_encoder(tokens[TOKENS], output_hidden_states=True)
        second = self._pipeline.text_encoder_2(tokens[TOKENS_2], output_hidden_states=True)
        dtype = self._options.dtype
        embedding = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return {EMBEDDING: embedding.to(dtype), POOLED: second[0].to(dtype)}
