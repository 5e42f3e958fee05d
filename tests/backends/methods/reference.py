"""The losses of the papers, written down a second time, in NumPy and double precision.

Nothing here comes from the product or from diffusers: each function is a formula of the paper that it names. A function that takes
the model calls it with what the paper's model is given and gets back what it predicts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Model = Callable[[Array, Array], Array]
"""(input, what it is told of the noise level) -> prediction."""


def wide(values: Array) -> Array:
    return np.asarray(values, np.float64).reshape(-1, 1, 1, 1)


def mean_square(difference: Array) -> Array:
    return (difference**2).reshape(len(difference), -1).mean(1)


# Discrete noise levels: DDPM, arXiv 2006.11239


def tabulate_scaled_linear(levels: int = 1000, first: float = 0.0001, last: float = 0.02) -> Array:
    """Cumulative product of alpha for betas whose roots are evenly spread, as Stable Diffusion has them."""
    betas = np.linspace(first**0.5, last**0.5, levels) ** 2
    return np.cumprod(1 - betas)


def end_in_noise(alphas: Array) -> Array:
    """Algorithm 1 of arXiv 2305.08891: the roots are shifted so that the last is 0 and stretched so that the first stays."""
    roots = np.sqrt(alphas)
    return ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2


def ddpm_losses(
    model: Model, alphas: Array, x: Array, noise: Array, t: NDArray[np.int64], *, predicts: str, gamma: float | None = None
) -> Array:
    """Equation 14 of arXiv 2006.11239 for epsilon; for v = alpha epsilon - sigma x appendix D of arXiv 2202.00512.

    With gamma the weights of arXiv 2303.09556: min(SNR, gamma) on the error of the picture. The error of epsilon is that of the
    picture times SNR, the error of v that of the picture times SNR + 1, so these quotients are left.
    """
    signal, sigma = np.sqrt(wide(alphas[t])), np.sqrt(1 - wide(alphas[t]))
    predicted = model(signal * x + sigma * noise, t)
    target = noise if predicts == "epsilon" else signal * noise - sigma * x
    losses = mean_square(predicted - target)
    if gamma is None:
        return losses
    snr = alphas[t] / (1 - alphas[t])
    return losses * np.minimum(snr, gamma) / (snr if predicts == "epsilon" else snr + 1)


def offset_noise(noise: Array, shift: Array, offset: float) -> Array:
    """Noise whose mean is free in every channel (crosslabs.org, “Diffusion with offset noise”); `shift` is (B, C)."""
    return noise + offset * shift[:, :, None, None]


# Continuous noise levels: EDM, arXiv 2206.00364, table 1


def edm_losses(model: Model, x: Array, noise: Array, sigma: Array, *, data: float, sign: float = 1.0) -> Array:
    """The squared error of the denoised picture D = c_skip (x + n) + c_out F(c_in (x + n); ln(sigma) / 4), not weighted further.

    `sign` is -1 for models whose output has the other sign (Playground's v).
    """
    s = wide(sigma)
    noisy, total = x + s * noise, s**2 + data**2
    raw = model(noisy / np.sqrt(total), np.log(np.asarray(sigma)) / 4)
    return mean_square(data**2 / total * noisy + sign * s * data / np.sqrt(total) * raw - x)


def edm_style_losses(model: Model, alphas: Array, x: Array, noise: Array, t: NDArray[np.int64], *, predicts: str) -> Array:
    """The same judgement for a model of discrete levels: section 5's error of the picture, times 1 / sigma^2.

    The column VP of table 1 for epsilon (c_skip 1, c_out -sigma, c_in 1 / sqrt(sigma^2 + 1)); for v the picture is
    c_skip = 1 / (sigma^2 + 1), c_out = -sigma / sqrt(sigma^2 + 1).
    """
    s = np.sqrt((1 - wide(alphas[t])) / wide(alphas[t]))
    noisy = x + s * noise
    raw = model(noisy / np.sqrt(s**2 + 1), t)
    denoised = noisy - s * raw if predicts == "epsilon" else noisy / (s**2 + 1) - s / np.sqrt(s**2 + 1) * raw
    return mean_square((denoised - x) / s)


# Rectified flow: arXiv 2403.03206


def flow_losses(model: Model, x: Array, noise: Array, sigma: Array, scheme: str) -> Array:
    """Equation 13: z = (1 - sigma) x + sigma n, velocity n - x; 1 / sigma^2 and equation 21 as weights of the loss."""
    s = wide(sigma)
    losses = mean_square(model((1 - s) * x + s * noise, np.asarray(sigma)) - (noise - x))
    if scheme == "sigma_sqrt":
        return losses / np.asarray(sigma) ** 2
    if scheme == "cosmap":
        return losses * 2 / (np.pi - 2 * np.pi * np.asarray(sigma) + 2 * np.pi * np.asarray(sigma) ** 2)
    return losses


def flow_share_below(sigma: Array, scheme: str, *, mean: float = 0.0, deviation: float = 1.0, scale: float = 1.29) -> Array:
    """How likely a drawn noise level lies below `sigma`.

    The scripts draw 1 - sigma by the densities of section 3.1: logit-normal (eq. 19), and f_mode of a uniform number (eq. 20).
    """
    level = 1 - np.asarray(sigma, np.float64)
    if scheme == "logit_normal":
        grid = np.linspace(1e-9, 1 - 1e-9, 200_001)
        density = np.exp(-((np.log(grid / (1 - grid)) - mean) ** 2) / (2 * deviation**2)) / (
            deviation * np.sqrt(2 * np.pi) * grid * (1 - grid)
        )
        return 1 - np.interp(level, grid, np.cumsum(density) * (grid[1] - grid[0]))
    if scheme == "mode":
        u = np.linspace(0, 1, 200_001)
        f = 1 - u - scale * (np.cos(np.pi / 2 * u) ** 2 - 1 + u)  # falls from 1 to 0
        return 1 - np.interp(level, f[::-1], (1 - u)[::-1])
    return np.asarray(sigma, np.float64)


# What the models are told


def pack_patches(latents: Array) -> Array:
    """Flux: 2 x 2 latents become one token; a token's numbers are ordered by channel, then row, then column."""
    count, channels, height, width = latents.shape
    tokens = np.empty((count, height // 2 * (width // 2), channels * 4))
    for row in range(height // 2):
        for column in range(width // 2):
            patch = latents[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            tokens[:, row * (width // 2) + column] = patch.reshape(count, channels * 4)
    return tokens


def unpack_patches(tokens: Array, channels: int, height: int, width: int) -> Array:
    latents = np.empty((len(tokens), channels, height, width))
    for row in range(height // 2):
        for column in range(width // 2):
            patch = tokens[:, row * (width // 2) + column].reshape(-1, channels, 2, 2)
            latents[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = patch
    return latents


def place_patches(height: int, width: int) -> Array:
    """Flux: (0, row, column) of each token."""
    return np.array([[0, row, column] for row in range(height // 2) for column in range(width // 2)], np.float64)
