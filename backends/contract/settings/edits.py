"""InstructPix2Pix: what is left out while training, and how its samples are drawn."""

from __future__ import annotations

from backends.contract.config import Config, setting


class EditSettings(Config):
    """What InstructPix2Pix (arXiv 2211.09800) is told beside any training."""

    conditioning_dropout_prob: float | None = setting(
        None,
        "Leave out",
        "0 to 0.33, or empty for never; 0.05 is usual. How often the instruction, the picture, or both are hidden.",
        group="edits",
        ge=0,
        le=0.33,
    )
    val_image: str | None = setting(
        None, "Picture for the samples", "A file, or empty: pairs held out are drawn.", group="edits", widget="path"
    )
    num_sample_pairs: int = setting(
        3,
        "Pairs drawn as samples",
        "0 to 16 of those held out; before, after and target are shown side by side.",
        group="edits",
        ge=0,
        le=16,
    )
    sample_image_guidance_scale: float | None = setting(
        None,
        "Keep the picture",
        "1 to 10, or empty for 1.5. Higher keeps samples closer to the picture before.",
        group="edits",
        ge=1,
        le=10,
    )
    non_ema_revision: str | None = setting(
        None, "Revision of the plain weights", "A branch or commit of the hub, or empty for the same as Revision.", group="base"
    )
