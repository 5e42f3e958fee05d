"""What a picture is drawn from: every setting that decides its pixels, checked before anything is loaded. Torch-free."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backends.contract.config import Config, setting
from backends.contract.drawing import FAMILIES, SAMPLERS, BaseFacts, describe_base

MAX_PIXELS = 4_194_304
KEEP_PICTURE, REFINER_SHARE = 1.5, 0.2
Sampler = Literal["default", "ddim", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "unipc"]


class LoraUse(BaseModel):
    """One result of a training in the mix: a LoRA, or all weights of what predicts.

    `weight` 0 leaves it out exactly; 1 is as trained. A whole model goes from 0 to 1, by way of the weights between.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str
    weight: float = Field(1.0, ge=-2, le=2, allow_inf_nan=False)


class DrawConfig(Config):
    """Settings of one picture. The same settings give the same pixels on the same machine."""

    prompt: str = setting("", "Prompt", "Up to 2,000 characters. What the picture shows.", group="main", widget="lines", max_length=2000)
    negative_prompt: str = setting(
        "", "Leave out", "Up to 2,000 characters. What the picture must not show.", group="main", max_length=2000
    )
    base_model: str = setting(
        "pocket-sdxl", "Base model", "A known base model, a folder, or owner/name of the hub.", group="base", min_length=1
    )
    loras: tuple[LoraUse, ...] = setting((), "LoRAs", "Up to 8, each with a weight from -2 to 2.", group="lora", max_length=8)
    guidance_scale: float | None = setting(
        None, "Follow the words", "0 to 30, or empty for what suits the base model.", group="main", ge=0, le=30, allow_inf_nan=False
    )
    num_inference_steps: int | None = setting(
        None, "Steps", "1 to 150, or empty for what suits the base model.", group="main", ge=1, le=150
    )
    seed: int = setting(42, "Seed", "0 to 4,294,967,295. The noise that the picture starts from.", group="main", ge=0, le=2**32 - 1)
    width: int | None = setting(
        None, "Width", "64 to 4,096 px, a multiple of 8 (Flux: 16), or empty.", group="main", unit="px", ge=64, le=4096
    )
    height: int | None = setting(
        None, "Height", "64 to 4,096 px, a multiple of 8 (Flux: 16), or empty.", group="main", unit="px", ge=64, le=4096
    )
    sampler: Sampler = setting(
        "default", "Sampler", "One of seven (Flux: four). How noise becomes a picture.", group="main", widget="choice"
    )
    image: str | None = setting(None, "Picture to edit", "A picture, or empty to draw from words alone.", group="edits", widget="path")
    image_guidance_scale: float | None = setting(
        None, "Keep the picture", "1 to 10, or empty for 1.5. Higher changes only what is asked.", group="edits", ge=1, le=10,
        allow_inf_nan=False,
    )  # fmt: skip
    refiner: str | None = setting(
        None, "Refiner", "A second model that draws the last steps of an SDXL picture: a folder or owner/name, or empty.", group="base"
    )
    refiner_share: float | None = setting(
        None, "Refiner’s share", "0.05 to 0.5 of the steps, or empty for 0.2.", group="base", ge=0.05, le=0.5, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Open settings become those of the base model, so that what is kept beside a picture is complete.

        The size of an edit is left open: it follows the picture.
        """
        if not isinstance(values, dict):
            return values
        base = describe_base(str(values.get("base_model", "pocket-sdxl")))
        suits: dict[str, Any] = {"guidance_scale": base.guidance_scale, "num_inference_steps": base.num_inference_steps}
        if values.get("image"):
            suits |= {"image_guidance_scale": KEEP_PICTURE}
        else:
            suits |= {"width": base.resolution, "height": base.resolution}
        if values.get("refiner"):
            suits |= {"refiner_share": REFINER_SHARE}
        emptied = {k: None for k in ("image", "refiner") if values.get(k) == ""}
        return {**values, **emptied, **{k: v for k, v in suits.items() if values.get(k) in (None, "")}}

    @model_validator(mode="after")
    def _fits_the_base(self) -> Self:
        base = describe_base(self.base_model)
        _check_sides(self, base)
        if self.sampler not in base.samplers:
            raise ValueError(
                f"sampler: {SAMPLERS[self.sampler]} cannot draw with {base.name}. "
                f"Choose one of: {', '.join(SAMPLERS[s] for s in base.samplers)}."
            )
        _check_second_stage(self, base)
        return self


def _check_sides(config: DrawConfig, base: BaseFacts) -> None:
    for name, side in (("width", config.width), ("height", config.height)):
        if side and side % base.side_step:
            below = side // base.side_step * base.side_step
            raise ValueError(
                f"{name}: {name.capitalize()} is {side}; it must be a multiple of {base.side_step}. "
                f"Nearest: {below} or {below + base.side_step}."
            )
    if (config.width or 0) * (config.height or 0) > MAX_PIXELS:
        raise ValueError(f"width: {config.width} × {config.height} px is too large; at most {MAX_PIXELS:,} px, such as 2048 × 2048.")


def _check_second_stage(config: DrawConfig, base: BaseFacts) -> None:
    """What an edit and a refiner ask for; a value without its use would stand beside the picture as if it had one."""
    family = FAMILIES.get(base.family)
    if config.image and family and not family.edits:
        raise ValueError(
            f"image: {base.name} cannot be taught to edit pictures here; SD 1.5 and SDXL can. "
            "Choose a model that was trained on edits, or draw without a picture."
        )
    if config.image is None and config.image_guidance_scale is not None:
        raise ValueError("image_guidance_scale: There is no picture to keep. Choose a picture to edit, or leave this empty.")
    if config.refiner is None and config.refiner_share is not None:
        raise ValueError("refiner_share: There is no refiner that could take a share. Name one, or leave this empty.")
    if config.refiner and config.image:
        raise ValueError("refiner: The refiner finishes pictures drawn from words, not edits. Leave it empty here.")
    if config.refiner and family and not family.refines:
        raise ValueError(f"refiner: {base.name} is {family.title}; the refiner finishes pictures of SDXL only. Leave it empty.")
