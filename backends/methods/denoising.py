"""The loss that all methods share: how far the model's prediction is from its target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from backends.families.protocol import Conditions, Family, NoiseSchedule
from backends.methods.protocol import Batch, Draws, Share

Predict = Callable[[torch.Tensor, torch.Tensor, Conditions], torch.Tensor]


def compute_losses(
    schedule: NoiseSchedule,
    predict: Predict,
    *,
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    conditions: Conditions,
    weighted: bool | torch.Tensor = True,
    places: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of each sample, shape (B,), float32; a pure function of what it is given.

    `weighted` says whether, or which (B,) of them, are weighted. `places` is what each place counts, (B, 1, h, w): the mean is over
    what counts, so that a small mask teaches as much as a large one.

    Epsilon as in DDPM (arXiv 2006.11239, eq. 14), v-prediction as in arXiv 2202.00512 (section 4), rectified flow as in
    arXiv 2403.03206 (eq. 13), each weighted as its schedule says.
    """
    target = schedule.compute_target(latents, noise, timesteps)
    predicted = predict(schedule.add_noise(latents, noise, timesteps), timesteps, conditions)
    squared = (predicted.float() - target.float()).square()
    losses = squared.flatten(1).mean(1) if places is None else _mean_over(squared, places)
    weights = None if weighted is False else schedule.compute_weights(timesteps)
    if weights is None:
        return losses
    return losses * (torch.where(weighted, weights, 1.0) if isinstance(weighted, torch.Tensor) else weights)


def _mean_over(squared: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The mean of each sample over what counts; 0 where nothing does."""
    counts = places.float().expand_as(squared)
    return (squared * counts).flatten(1).sum(1) / counts.flatten(1).sum(1).clamp(min=1e-6)


def draw_role(
    family: Family, batch: Batch, role: str, generator: torch.Generator, share: Share
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(timesteps, noise, posterior noise) for one role of a batch, in the order that resumed runs rely on."""
    mean, _ = batch.moments[role]
    whole = mean.new_empty(1).expand(len(mean) * share.ranks, *mean.shape[1:])
    posterior = torch.randn(whole.shape, generator=generator, device=mean.device)
    noise = family.schedule.draw_noise(whole, generator)
    timesteps = family.schedule.draw_timesteps(len(whole), generator)
    own = slice(share.rank * len(mean), (share.rank + 1) * len(mean))
    return timesteps[own], noise[own], posterior[own]


def draw_roles(family: Family, batch: Batch, roles: Sequence[str], generator: torch.Generator, share: Share) -> Draws:
    """Fresh draws for several roles, one after the other."""
    drawn = {role: draw_role(family, batch, role, generator, share) for role in roles}
    return Draws(*({role: values[part] for role, values in drawn.items()} for part in range(3)))


def fix_role(role: str, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
    """The given timesteps and noise for one role, and the latents' mean."""
    return Draws({role: timesteps}, {role: noise}, {role: torch.zeros_like(noise)})


def take_latents(family: Family, batch: Batch, draws: Draws, role: str) -> torch.Tensor:
    """A sample of the VAE's posterior, at the scale that the model knows."""
    mean, deviation = batch.moments[role]
    return family.scale_latents(torch.addcmul(mean, deviation, draws.posterior[role]))
