"""DreamBooth: one prompt for a subject, and pictures of its class that keep the base model from forgetting the class."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from backends.contract.config import Config, setting


class PriorSettings(Config):
    """What DreamBooth (arXiv 2208.12242) is told beside any training; prior preservation is its equation 2."""

    instance_data_dir: str | None = setting(
        None, "Folder with pictures", "A folder, or empty for the studio's data set.", group="pictures", widget="path"
    )
    instance_prompt: str = setting(
        "",
        "Prompt of the subject",
        "Up to 1,000 characters, such as “a photo of zog dog”; empty: each picture's own caption.",
        group="class",
        max_length=1000,
    )
    repeats: int = setting(1, "Repeats", "1 to 1,000. How often each picture counts in one pass.", group="pictures", ge=1, le=1000)
    with_prior_preservation: bool = setting(
        False,
        "Keep the class",
        "On or off. Learns beside pictures of the class, so that not every dog becomes yours.",
        group="class",
        widget="switch",
    )
    class_prompt: str | None = setting(
        None,
        "Prompt of the class",
        "Up to 1,000 characters, such as “a photo of dog”. Needed to keep the class.",
        group="class",
        max_length=1000,
    )
    class_data_dir: str | None = setting(
        None, "Folder with class pictures", "A folder, or empty: the base model draws them.", group="class", widget="path"
    )
    num_class_images: int = setting(
        100,
        "Class pictures",
        "1 to 10,000. What the folder lacks is drawn before training.",
        group="class",
        unit="pictures",
        ge=1,
        le=10_000,
    )
    prior_loss_weight: float = setting(
        1.0, "Weight of the class", "0 to 10. How much the class pictures count beside yours.", group="class", ge=0, le=10
    )
    prior_generation_precision: Literal["no", "fp32", "fp16", "bf16"] | None = setting(
        None, "Precision of class pictures", "One of four, or empty for that of the training.", group="class", widget="choice"
    )
    sample_batch_size: int = setting(4, "Class pictures at once", "1 to 64. How many are drawn in one batch.", group="class", ge=1, le=64)
    output_kohya_format: bool = setting(
        False,
        "Kohya file too",
        "On or off. Writes the LoRA for ComfyUI and A1111 beside its own at the end.",
        group="saving",
        widget="switch",
    )

    @model_validator(mode="after")
    def _class_fits(self) -> Self:
        if not self.with_prior_preservation:
            return self
        if not (self.class_prompt or "").strip():
            raise ValueError(
                "class_prompt: Keep the class is on and the prompt of the class is empty; say what yours is one of, "
                "for example “a photo of dog”, or switch Keep the class off."
            )
        if _same(self.class_prompt or "", self.instance_prompt):
            raise ValueError(
                f"class_prompt: The prompt of the class is “{self.class_prompt}”, the same as that of the subject; it must lack "
                "the trigger word, for example “a photo of dog” beside “a photo of zog dog”."
            )
        return self


class EdmSettings(Config):
    """Training as EDM has it (arXiv 2206.00364)."""

    do_edm_style_training: bool = setting(
        False, "EDM weighting", "On or off. For bases trained so, such as Playground 2.5.", group="learning", widget="switch"
    )

    @model_validator(mode="after")
    def _one_weighting(self) -> Self:
        gamma = getattr(self, "snr_gamma", None)
        if self.do_edm_style_training and gamma is not None:
            raise ValueError(
                f"snr_gamma: Min-SNR gamma is {gamma:g} and EDM weighting is on; both weigh the noise levels. Switch one of them off."
            )
        return self


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
