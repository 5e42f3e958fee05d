"""The loss against formulas written down a second time, and against diffusers' own schedulers."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from backends.families.noise import DiscreteSchedule
from backends.families.protocol import NoiseOptions
from backends.methods.denoising import compute_losses

CPU = torch.device("cpu")


def make_case(prediction_type: str, *, zero_snr: bool, snr_gamma: float | None = None):
    reference = DDPMScheduler(prediction_type=prediction_type, beta_schedule="scaled_linear", rescale_betas_zero_snr=zero_snr)
    schedule = DiscreteSchedule(
        reference.alphas_cumprod, prediction_type=prediction_type, device=CPU, options=NoiseOptions(snr_gamma=snr_gamma)
    )
    random = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(4, 3, 5, 5, generator=random) for _ in range(2))
    timesteps = torch.tensor([0, 250, 700, 999 if zero_snr and prediction_type == "v_prediction" else 998])
    return reference, schedule, latents, noise, timesteps


def predict(noisy: torch.Tensor, timesteps: torch.Tensor, conditions: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.tanh(noisy) + conditions["bias"] + timesteps.view(-1, 1, 1, 1) / 1000


@pytest.mark.parametrize("snr_gamma", [None, 5.0])
@pytest.mark.parametrize(("prediction_type", "zero_snr"), [("epsilon", False), ("v_prediction", False), ("v_prediction", True)])
def test_the_loss_is_that_of_the_diffusers_script(prediction_type, zero_snr, snr_gamma):
    reference, schedule, latents, noise, timesteps = make_case(prediction_type, zero_snr=zero_snr, snr_gamma=snr_gamma)
    conditions = {"bias": torch.tensor(0.3)}
    found = compute_losses(schedule, predict, latents=latents, noise=noise, timesteps=timesteps, conditions=conditions)
    noisy = reference.add_noise(latents, noise, timesteps)
    target = noise if prediction_type == "epsilon" else reference.get_velocity(latents, noise, timesteps)
    expected = torch.nn.functional.mse_loss(predict(noisy, timesteps, conditions), target, reduction="none").mean((1, 2, 3))
    if snr_gamma is not None:
        snr = compute_snr(reference, timesteps)
        weights = torch.stack([snr, torch.full_like(snr, snr_gamma)], dim=1).min(dim=1)[0]
        expected *= weights / (snr if prediction_type == "epsilon" else snr + 1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_zero_signal_weighs_as_its_limit_and_not_as_nothing():
    schedule = DiscreteSchedule(torch.tensor([0.9, 0.5, 0.0]), prediction_type="epsilon", device=CPU, options=NoiseOptions(snr_gamma=5.0))
    weights = schedule.compute_weights(torch.tensor([0, 1, 2]))
    torch.testing.assert_close(weights, torch.tensor([5 / 9, 1.0, 1.0]))


def test_a_perfect_prediction_costs_nothing():
    _, schedule, latents, noise, timesteps = make_case("v_prediction", zero_snr=True)
    target = schedule.compute_target(latents, noise, timesteps)
    found = compute_losses(schedule, lambda *_: target, latents=latents, noise=noise, timesteps=timesteps, conditions={})
    assert found.abs().max() == 0


def test_timesteps_are_even_over_the_range_and_spread_within_a_batch():
    _, schedule, *_ = make_case("epsilon", zero_snr=False)
    random = torch.Generator().manual_seed(0)
    drawn = torch.stack([schedule.draw_timesteps(4, random) for _ in range(5000)])
    for stratum in range(4):
        column = drawn[:, stratum]
        assert column.min() >= stratum * 250 and column.max() < (stratum + 1) * 250
    counts = torch.histc(drawn.float(), bins=10, min=0, max=1000)
    assert (counts / counts.mean() - 1).abs().max() < 0.07


def test_the_levels_that_judge_are_eight_and_fixed():
    _, schedule, *_ = make_case("epsilon", zero_snr=False)
    assert schedule.fixed_timesteps(8) == [60, 180, 300, 420, 540, 660, 780, 900]
