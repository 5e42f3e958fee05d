"""The bare loop: what a step cannot do without and nothing else, once for all families and methods.

Tensors made beforehand, noise, forward, loss, backward, fused AdamW, on the model that diffusers loads, with the same LoRA or
with all weights trained; nothing of our engine. It clips no gradient, shuffles nothing, logs nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from diffusers import DDPMScheduler, DiffusionPipeline, FluxPipeline
from peft import LoraConfig

from backends.contract.base_models import parse_source
from backends.contract.settings.lora import FLUX_LORA_LAYERS, UNET_LORA_LAYERS
from bench.trainings import Case

CPU = torch.device("cpu")


def load_pipeline(case: Case) -> Any:
    """The base model of a case as diffusers loads it."""
    return DiffusionPipeline.from_pretrained(parse_source(case.source).place)


class BareLoop:
    """The loop around the denoiser of a pipeline, whose other parts it leaves alone.

    Args:
        pipeline: Of diffusers; of its parts the denoiser, the scheduler's settings and some sizes are used.
        case: What is trained.
        device: Where; `meta` counts without computing.
        dtype: What is computed in; below float32 by autocast, as in our trainer.
    """

    def __init__(self, pipeline: Any, case: Case, *, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> None:
        self._device, self._dtype = device, dtype
        self._flux = case.backend.family == "flux"
        self._prior = case.backend.method == "dreambooth" and case.keeps_class
        self.denoiser = pipeline.transformer if self._flux else pipeline.unet
        self.denoiser.requires_grad_(False)
        self._before: torch.Tensor | None = None
        if case.backend.method == "instruct_pix2pix":
            widen(self.denoiser)
        self.denoiser.to(device).train()
        self._choose_weights(case)
        self.optimizer = None if device.type == "meta" else torch.optim.AdamW(self.parameters, lr=case.learning_rate, fused=True)
        self._count = case.batch_size * (2 if self._prior else 1)
        side = case.resolution // (2 ** (len(pipeline.vae.config.block_out_channels) - 1))
        self._latents = self._fill(self._count, pipeline.vae.config.latent_channels, side, side)
        if case.backend.method == "instruct_pix2pix":
            self._before = self._fill(*self._latents.shape)
        self._told = self._tell_flux(pipeline) if self._flux else self._tell_unet(pipeline, case.resolution)
        self._scheduler = None if self._flux else DDPMScheduler.from_config(pipeline.scheduler.config)

    def run(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            self.find_gradients()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def find_gradients(self) -> None:
        """Noise, forward, loss, backward."""
        noise = torch.randn_like(self._latents)
        noisy, timesteps, target = self._mix_line(noise) if self._flux else self._mix_steps(noise)
        with nullcontext() if self._dtype == torch.float32 else torch.autocast(self._device.type, dtype=self._dtype):
            found = self._predict(noisy, timesteps)
        errors = (found.float() - target).square()
        if self._prior:
            own, kept = errors.chunk(2)
            (own.mean() + kept.mean()).backward()
        else:
            errors.mean().backward()

    def _choose_weights(self, case: Case) -> None:
        if case.trains_lora:
            layers = name_flux_layers(case.layers) if self._flux else list(UNET_LORA_LAYERS[case.layers])
            shape = {"r": case.rank, "lora_alpha": case.rank, "init_lora_weights": "gaussian"}
            self.denoiser.add_adapter(LoraConfig(target_modules=layers, **shape))
        else:
            self.denoiser.float().requires_grad_(True)
        self.parameters = [p for p in self.denoiser.parameters() if p.requires_grad]
        for parameter in self.parameters:
            parameter.data = parameter.data.float()

    def _mix_steps(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """By a table of noise levels: Stable Diffusion."""
        s: Any = self._scheduler
        timesteps = torch.randint(0, s.config.num_train_timesteps, (self._count,), device=self._device)
        noisy = s.add_noise(self._latents, noise, timesteps)
        target = noise if s.config.prediction_type == "epsilon" else s.get_velocity(self._latents, noise, timesteps)
        return noisy if self._before is None else torch.cat([noisy, self._before], dim=1), timesteps, target

    def _mix_line(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """On the straight line between picture and noise, in patches: Flux."""
        sigma = torch.rand(self._count, device=self._device)
        wide = sigma.view(-1, 1, 1, 1)
        noisy = (1 - wide) * self._latents + wide * noise
        return self._pack(noisy), sigma, self._pack(noise - self._latents)

    def _predict(self, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        noisy = noisy.to(self._dtype)
        if self._flux:
            return self.denoiser(hidden_states=noisy, timestep=timesteps, **self._told, return_dict=False)[0]
        return self.denoiser(noisy, timesteps, **self._told, return_dict=False)[0]

    def _tell_unet(self, pipeline: Any, resolution: int) -> dict[str, Any]:
        c = self.denoiser.config
        words = self._fill(self._count, pipeline.tokenizer.model_max_length, c.cross_attention_dim)
        told: dict[str, Any] = {"encoder_hidden_states": words.to(self._dtype)}
        if c.addition_embed_type == "text_time":
            width = c.projection_class_embeddings_input_dim - 6 * c.addition_time_embed_dim
            times = torch.tensor([[resolution, resolution, 0, 0, resolution, resolution]] * self._count, device=self._device)
            told["added_cond_kwargs"] = {"text_embeds": self._fill(self._count, width).to(self._dtype), "time_ids": times.float()}
        return told

    def _tell_flux(self, pipeline: Any) -> dict[str, Any]:
        c, tokens = self.denoiser.config, min(512, pipeline.tokenizer_2.model_max_length)
        side = self._latents.shape[-1] // 2
        return {
            "encoder_hidden_states": self._fill(self._count, tokens, c.joint_attention_dim).to(self._dtype),
            "pooled_projections": self._fill(self._count, c.pooled_projection_dim).to(self._dtype),
            "guidance": torch.ones(self._count, device=self._device) if c.guidance_embeds else None,
            "txt_ids": torch.zeros(tokens, 3, device=self._device),
            "img_ids": FluxPipeline._prepare_latent_image_ids(self._count, side, side, self._device, torch.float32),
        }

    def _pack(self, latents: torch.Tensor) -> torch.Tensor:
        return FluxPipeline._pack_latents(latents, *latents.shape)

    def _fill(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, device=self._device)


def widen(unet: Any) -> None:
    """Twice the input channels of the first convolution, the new half 0."""
    old = unet.conv_in
    new = torch.nn.Conv2d(2 * old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
    new = new.to(old.weight.device, old.weight.dtype)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels].copy_(old.weight)
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=new.in_channels)


def name_flux_layers(layers: str) -> str:
    """The layers inside the transformer's blocks: the last layer of all is called like one of theirs."""
    names = "|".join(name.replace(".", r"\.") for name in FLUX_LORA_LAYERS[layers])
    return rf"(transformer_blocks|single_transformer_blocks)\.\d+\.(attn\.)?({names})"
