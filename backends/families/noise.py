"""The discrete-time noise schedule of Stable Diffusion: tables on the device, pure functions, no sync with the host."""

from __future__ import annotations

import torch


class DiscreteSchedule:
    """Forward process q(x_t | x_0) with `num_timesteps` levels (arXiv 2006.11239, eq. 4).

    Args:
        alphas_cumprod: Shape (T,); a last value of 0 is a zero terminal SNR (arXiv 2305.08891).
        prediction_type: `epsilon` or `v_prediction`.
        device: Where the tables lie.
    """

    def __init__(self, alphas_cumprod: torch.Tensor, *, prediction_type: str, device: torch.device) -> None:
        alphas = alphas_cumprod.double()
        self.num_timesteps = len(alphas)
        self.prediction_type = prediction_type
        self._signal = alphas.sqrt().float().to(device)
        self._noise = (1 - alphas).sqrt().float().to(device)
        self._snr = (alphas / (1 - alphas)).float().to(device)

    def draw_timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """One timestep from each of `count` equal strata, so that a small batch sees high, middle and low noise.

        Every timestep is as likely as under a uniform draw; only the variance between batches is smaller. Sample i
        of a batch gets stratum i, which is fair because the order of the samples is drawn at random.
        """
        shift = torch.rand(count, generator=generator, device=generator.device)
        strata = torch.arange(count, device=generator.device)
        return ((strata + shift) * (self.num_timesteps / count)).long().clamp_(max=self.num_timesteps - 1)

    def fixed_timesteps(self, levels: int) -> list[int]:
        """Levels from 6 % to 90 % of the range: the ends say little about what was learnt."""
        first, last = 0.06 * self.num_timesteps, 0.9 * self.num_timesteps
        return [round(first + (last - first) * i / max(1, levels - 1)) for i in range(levels)]

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Signal and noise mixed for each sample's level."""
        return _spread(self._signal[timesteps]) * latents + _spread(self._noise[timesteps]) * noise

    def compute_target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The noise itself, or the velocity."""
        if self.prediction_type == "epsilon":
            return noise
        return _spread(self._signal[timesteps]) * noise - _spread(self._noise[timesteps]) * latents

    def compute_weights(self, timesteps: torch.Tensor, snr_gamma: float | None) -> torch.Tensor | None:
        """min(SNR, gamma) / SNR for epsilon, min(SNR, gamma) / (SNR + 1) for v (arXiv 2303.09556, section 3.4)."""
        if snr_gamma is None:
            return None
        snr = self._snr[timesteps]
        if self.prediction_type == "v_prediction":
            return snr.clamp(max=snr_gamma) / (snr + 1)
        return (snr_gamma / snr).clamp(max=1)  # at an SNR of 0 the limit is 1, where the quotient would be 0 / 0


def _spread(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)
