"""Noise schedules: tables on the device, pure functions, no sync with the host.

Timesteps are what the model is told: whole numbers for Stable Diffusion, 1,000 sigma for Flux, ln(sigma) / 4 for EDM.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from backends.families.protocol import NoiseOptions


class DiscreteSchedule:
    """Forward process q(x_t | x_0) with `num_timesteps` levels (arXiv 2006.11239, eq. 4).

    Args:
        alphas_cumprod: Shape (T,); a last value of 0 is a zero terminal SNR (arXiv 2305.08891).
        prediction_type: `epsilon` or `v_prediction`.
        device: Where the tables lie.
        options: Of these snr_gamma, noise_offset and do_edm_style_training.
    """

    def __init__(self, alphas_cumprod: torch.Tensor, *, prediction_type: str, device: torch.device, options: NoiseOptions) -> None:
        alphas = alphas_cumprod.double()
        self.num_timesteps = len(alphas)
        self.prediction_type = prediction_type
        self._signal = alphas.sqrt().float().to(device)
        self._noise = (1 - alphas).sqrt().float().to(device)
        self._options = options
        self._weights = self._tabulate_weights(alphas)
        if self._weights is not None:
            self._weights = self._weights.float().to(device)

    def draw_timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """One timestep from each of `count` equal strata, whole numbers."""
        return (draw_strata(count, generator) * self.num_timesteps).long().clamp_(max=self.num_timesteps - 1)

    def draw_noise(self, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Normal noise, with the offset of the settings (https://www.crosslabs.org/blog/diffusion-with-offset-noise)."""
        noise = draw_normal(like, generator)
        if self._options.noise_offset:
            shift = torch.randn((*like.shape[:2], 1, 1), generator=generator, device=like.device)
            noise += self._options.noise_offset * shift
        return noise

    def fixed_timesteps(self, levels: int) -> list[float]:
        """Levels from 6 % to 90 % of the range: the ends say little about what was learnt."""
        return [round(t) for t in spread_levels(levels, self.num_timesteps)]

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Signal and noise mixed for each sample's level."""
        return _wide(self._signal[timesteps]) * latents + _wide(self._noise[timesteps]) * noise

    def compute_target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The noise itself, or the velocity."""
        if self.prediction_type == "epsilon":
            return noise
        return _wide(self._signal[timesteps]) * noise - _wide(self._noise[timesteps]) * latents

    def compute_weights(self, timesteps: torch.Tensor) -> torch.Tensor | None:
        """From a table: min-SNR, or what EDM's weighting comes to."""
        return None if self._weights is None else self._weights[timesteps]

    def _tabulate_weights(self, alphas: torch.Tensor) -> torch.Tensor | None:
        """min(SNR, gamma) / SNR for epsilon, min(SNR, gamma) / (SNR + 1) for v (arXiv 2303.09556, section 3.4).

        EDM-style training judges the denoised picture, weighted by 1 / sigma^2 (arXiv 2206.00364, section 5). With the
        model's input scaled by 1 / sqrt(sigma^2 + 1), which is this schedule's own, the error of the picture is sigma times
        that of epsilon, and sigma / sqrt(sigma^2 + 1) times that of v: what is left are the weights 1 and 1 / (sigma^2 + 1).
        """
        velocity = self.prediction_type == "v_prediction"
        if self._options.do_edm_style_training:
            return alphas if velocity else None
        gamma = self._options.snr_gamma
        if gamma is None:
            return None
        snr = alphas / (1 - alphas)
        if velocity:
            return snr.clamp(max=gamma) / (snr + 1)
        return (gamma / snr).clamp(max=1)  # at an SNR of 0 the limit is 1, where the quotient would be 0 / 0


class EdmSchedule:
    """Continuous noise as EDM has it (arXiv 2206.00364, table 1); the loss is that of the denoised picture.

    Args:
        sigmas: The levels that training draws from, descending, all above 0.
        sigma_data: Deviation of the latents that the base model was trained on.
        prediction_type: `epsilon`, or `v_prediction`, whose output has the other sign.
        device: Where the table lies.
    """

    def __init__(self, sigmas: torch.Tensor, *, sigma_data: float, prediction_type: str, device: torch.device) -> None:
        self._sigmas, self._data = sigmas.float().to(device), sigma_data
        self.num_timesteps, self.prediction_type = len(sigmas), prediction_type
        self._sign = -1.0 if prediction_type == "v_prediction" else 1.0

    def draw_timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """ln(sigma) / 4 of one level from each of `count` equal strata."""
        rows = (draw_strata(count, generator) * self.num_timesteps).long().clamp_(max=self.num_timesteps - 1)
        return self._sigmas[rows].log() / 4

    def draw_noise(self, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Normal noise."""
        return draw_normal(like, generator)

    def fixed_timesteps(self, levels: int) -> list[float]:
        """ln(sigma) / 4 of levels spread over the table."""
        rows = [min(self.num_timesteps - 1, round(r)) for r in spread_levels(levels, self.num_timesteps)]
        return [math.log(float(self._sigmas[row])) / 4 for row in rows]

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The noisy picture, scaled for the model: c_in (x + sigma n)."""
        sigma = _wide((4 * timesteps).exp())
        return (latents + sigma * noise) / (sigma**2 + self._data**2).sqrt()

    def compute_target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the model must give so that c_skip z + c_out F is the picture."""
        sigma = _wide((4 * timesteps).exp())
        total = sigma**2 + self._data**2
        skipped = self._data**2 / total * (latents + sigma * noise)
        return self._sign * (latents - skipped) * total.sqrt() / (sigma * self._data)

    def compute_weights(self, timesteps: torch.Tensor) -> torch.Tensor | None:
        """c_out^2: the error of the picture itself, which the diffusers script leaves unweighted."""
        sigma = (4 * timesteps).exp()
        return sigma**2 * self._data**2 / (sigma**2 + self._data**2)


class FlowSchedule:
    """Rectified flow: a straight line from the picture (sigma 0) to noise (sigma 1); arXiv 2403.03206, sections 2 and 3.

    Args:
        options: Of these weighting_scheme, logit_mean, logit_std and mode_scale.
    """

    num_timesteps = 1000
    prediction_type = "flow"

    def __init__(self, options: NoiseOptions) -> None:
        self._options = options
        self._density = _DENSITIES.get(options.weighting_scheme, _uniform)

    def draw_timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """1,000 sigma, one from each of `count` parts that are equally likely under the weighting scheme."""
        levels = self._density(draw_strata(count, generator), self._options)
        return (1 - levels).clamp(1 / self.num_timesteps, 1) * self.num_timesteps

    def draw_noise(self, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Normal noise."""
        return draw_normal(like, generator)

    def fixed_timesteps(self, levels: int) -> list[float]:
        """1,000 sigma from 0.06 to 0.9."""
        return spread_levels(levels, self.num_timesteps)

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """(1 - sigma) x + sigma n."""
        sigma = _wide(timesteps / self.num_timesteps)
        return (1 - sigma) * latents + sigma * noise

    def compute_target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The velocity n - x, the same at every level."""
        return noise - latents

    def compute_weights(self, timesteps: torch.Tensor) -> torch.Tensor | None:
        """1 / sigma^2 for sigma_sqrt, 2 / (pi (1 - 2 sigma + 2 sigma^2)) for cosmap; the other schemes weigh by how they draw."""
        sigma = timesteps / self.num_timesteps
        if self._options.weighting_scheme == "sigma_sqrt":
            return sigma**-2
        if self._options.weighting_scheme == "cosmap":
            return 2 / (math.pi * (1 - 2 * sigma + 2 * sigma**2))
        return None


def draw_strata(count: int, generator: torch.Generator) -> torch.Tensor:
    """One number in 0..1 from each of `count` equal parts, so that a small batch sees high, middle and low noise.

    Every number is as likely as under a uniform draw; only the variance between batches is smaller. Sample i of a batch
    gets part i, which is fair because the order of the samples is drawn at random.
    """
    shift = torch.rand(count, generator=generator, device=generator.device)
    return (torch.arange(count, device=generator.device) + shift) / count


def draw_normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normal noise of the shape and on the device of `like`, float32."""
    return torch.randn(like.shape, generator=generator, device=like.device)


def spread_levels(levels: int, top: int) -> list[float]:
    """Evenly spread from 6 % to 90 % of `top`."""
    first, last = 0.06 * top, 0.9 * top
    return [first + (last - first) * i / max(1, levels - 1) for i in range(levels)]


def _uniform(u: torch.Tensor, _options: NoiseOptions) -> torch.Tensor:
    return u


def _logit_normal(u: torch.Tensor, options: NoiseOptions) -> torch.Tensor:
    """The quantile of a normal variable, through the logistic function (eq. 19)."""
    normal = torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6)).to(u.dtype)
    return torch.sigmoid(options.logit_mean + options.logit_std * normal)


def _mode(u: torch.Tensor, options: NoiseOptions) -> torch.Tensor:
    """Heavy tails or a heavy middle (eq. 20)."""
    return 1 - u - options.mode_scale * (torch.cos(math.pi * u / 2) ** 2 - 1 + u)


_DENSITIES: dict[str, Callable[[torch.Tensor, NoiseOptions], torch.Tensor]] = {"logit_normal": _logit_normal, "mode": _mode}


def _wide(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)
