"""What turns gradients into steps."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from backends.contract.config import Config, setting


class OptimizerSettings(Config):
    """AdamW (also with 8 bit), Prodigy (arXiv 2306.06101), schedule-free AdamW (arXiv 2405.15682)."""

    optimizer: Literal["AdamW", "prodigy", "schedule_free"] = setting(
        "AdamW",
        "Optimizer",
        "One of three. prodigy finds the learning rate itself (set it to 1); schedule_free needs no curve.",
        group="learning",
        widget="choice",
    )
    adam_beta1: float = setting(0.9, "Adam beta 1", "0 to 0.9999. Memory of the direction.", group="learning", ge=0, le=0.9999)
    adam_beta2: float = setting(0.999, "Adam beta 2", "0 to 0.99999. Memory of the size.", group="learning", ge=0, le=0.99999)
    adam_weight_decay: float = setting(1e-2, "Weight decay", "0 to 1. Pulls what is trained towards 0.", group="learning", ge=0, le=1)
    adam_epsilon: float = setting(1e-8, "Adam epsilon", "1e-12 to 0.01. Guards a division.", group="learning", ge=1e-12, le=1e-2)
    use_8bit_adam: bool = setting(
        False, "8-bit Adam", "On or off. Saves optimizer memory; needs bitsandbytes.", group="memory", widget="switch"
    )
    prodigy_beta3: float | None = setting(
        None, "Prodigy beta 3", "0 to 0.99999, or empty for the root of beta 2. Only for prodigy.", group="learning", ge=0, le=0.99999
    )
    prodigy_decouple: bool = setting(
        True, "Prodigy weight decay apart", "On or off. Decays as AdamW does. Only for prodigy.", group="learning", widget="switch"
    )
    prodigy_use_bias_correction: bool = setting(
        True, "Prodigy bias correction", "On or off. Steadies the first steps. Only for prodigy.", group="learning", widget="switch"
    )
    prodigy_safeguard_warmup: bool = setting(
        True, "Prodigy warm-up guard", "On or off. Keeps a warm-up from misleading it. Only for prodigy.", group="learning", widget="switch"
    )

    @model_validator(mode="after")
    def _one_optimizer(self) -> Self:
        if self.use_8bit_adam and self.optimizer != "AdamW":
            raise ValueError(
                f"use_8bit_adam: 8-bit Adam is on and the optimizer is {self.optimizer}; choose AdamW, or switch 8-bit Adam off."
            )
        if self.optimizer == "schedule_free" and self.adam_beta1 == 0:
            raise ValueError("adam_beta1: Adam beta 1 is 0 and the optimizer is schedule_free, which divides by it; 0.9 is usual.")
        if self.optimizer == "schedule_free" and getattr(self, "use_ema", False):
            raise ValueError(
                "use_ema: Average of the weights is on and the optimizer is schedule_free, which keeps an average of its own; "
                "switch the average off, or choose AdamW."
            )
        return self
