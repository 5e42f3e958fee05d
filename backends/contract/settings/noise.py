"""How noise is added while training, and what the loss makes of it."""

from __future__ import annotations

from typing import Literal

from backends.contract.config import Config, setting

WeightingScheme = Literal["none", "sigma_sqrt", "logit_normal", "mode", "cosmap"]


class WeightedNoise(Config):
    """Min-SNR, for the discrete noise levels of Stable Diffusion."""

    snr_gamma: float | None = setting(
        None,
        "Min-SNR gamma",
        "0.1 to 100, or empty for off; 5 is usual. Evens out easy and hard noise levels.",
        group="learning",
        ge=0.1,
        le=100,
    )


class DiffusionNoise(WeightedNoise):
    """All of the discrete noise levels of Stable Diffusion."""

    noise_offset: float = setting(0.0, "Noise offset", "0 to 1. Helps very dark and very bright pictures.", group="learning", ge=0, le=1)
    prediction_type: Literal["epsilon", "v_prediction"] | None = setting(
        None, "What the model predicts", "epsilon or v_prediction. Empty: as the base model was trained.", group="learning", widget="choice"
    )


class FlowNoise(Config):
    """Flow matching with continuous noise levels, as Flux was trained (arXiv 2403.03206)."""

    weighting_scheme: WeightingScheme = setting(
        "none",
        "Noise levels",
        "One of five. logit_normal and mode draw more of the middle, cosmap weighs it more, sigma_sqrt low noise.",
        group="learning",
        widget="choice",
    )
    logit_mean: float = setting(
        0.0, "Logit mean", "-3 to 3. Only for logit_normal: above 0 leans to less noise.", group="learning", ge=-3, le=3
    )
    logit_std: float = setting(1.0, "Logit deviation", "0.1 to 5. Only for logit_normal: how wide.", group="learning", ge=0.1, le=5)
    mode_scale: float = setting(1.29, "Mode scale", "0 to 1.75. Only for mode.", group="learning", ge=0, le=1.75)
    guidance_scale: float = setting(
        3.5,
        "Guidance while training",
        "0 to 30. What bases that know guidance (dev) are told; 1 suits most recipes.",
        group="learning",
        ge=0,
        le=30,
    )
    max_sequence_length: int = setting(
        512,
        "Words read",
        "16 to 512 tokens. How much of a caption T5 reads; fewer need less memory.",
        group="memory",
        unit="tokens",
        ge=16,
        le=512,
    )
