"""Text to image: a picture and its caption; the loss is the squared error of the prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from backends.contract.text_to_image import LORA_LAYERS, TextToImageConfig
from backends.families.protocol import Conditions, Family, NoiseSchedule
from backends.methods.protocol import Batch, Draws, Item, Row

PICTURE = "image"


def compute_losses(
    schedule: NoiseSchedule,
    predict: Callable[[torch.Tensor, torch.Tensor, Conditions], torch.Tensor],
    *,
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    conditions: Conditions,
    snr_gamma: float | None = None,
) -> torch.Tensor:
    """Mean squared error of each sample, shape (B,), float32; a pure function of what it is given.

    Epsilon as in DDPM (arXiv 2006.11239, eq. 14), v-prediction as in arXiv 2202.00512 (section 4); with `snr_gamma`
    weighted by min-SNR (arXiv 2303.09556, eq. 4).
    """
    target = schedule.compute_target(latents, noise, timesteps)
    predicted = predict(schedule.add_noise(latents, noise, timesteps), timesteps, conditions)
    losses = (predicted.float() - target.float()).square().flatten(1).mean(1)
    weights = schedule.compute_weights(timesteps, snr_gamma)
    return losses if weights is None else losses * weights


class TextToImage:
    """LoRA on the denoiser (and the text encoders, where asked) from pictures with captions."""

    def __init__(self, family: Family, config: TextToImageConfig) -> None:
        self._family = family
        self._config = config

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """One sample a picture."""
        return [Item(r.id, {PICTURE: r.file}, r.caption, r.width, r.height, r.held_out) for r in rows]

    def adapters(self) -> dict[str, tuple[torch.nn.Module, Any]]:
        """LoRA in the layers that the settings name."""
        return self._family.adapter_targets(LORA_LAYERS[self._config.lora_layers], text_encoders=self._config.train_text_encoder)

    def draw(self, batch: Batch, generator: torch.Generator) -> Draws:
        """Timesteps, noise (with the offset of the settings) and a fresh sample of the VAE's posterior."""
        mean, _ = batch.moments[PICTURE]
        posterior = torch.randn(mean.shape, generator=generator, device=mean.device)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        if self._config.noise_offset:  # https://www.crosslabs.org/blog/diffusion-with-offset-noise
            shift = torch.randn((*mean.shape[:2], 1, 1), generator=generator, device=mean.device)
            noise += self._config.noise_offset * shift
        timesteps = self._family.schedule.draw_timesteps(len(mean), generator)
        return Draws(timesteps, noise, {PICTURE: posterior})

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """The given timesteps and noise, and the latents' mean."""
        return Draws(timesteps, noise, {PICTURE: torch.zeros_like(noise)})

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample of the batch."""
        mean, deviation = batch.moments[PICTURE]
        return compute_losses(
            self._family.schedule,
            self._family.predict,
            latents=torch.addcmul(mean, deviation, draws.posterior[PICTURE]) * self._family.latent_scale,
            noise=draws.noise,
            timesteps=draws.timesteps,
            conditions=batch.conditions,
            snr_gamma=self._config.snr_gamma if weighted else None,
        )
