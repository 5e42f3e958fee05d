"""What a picture is drawn from: every setting that decides its pixels, checked before anything is loaded. Torch-free."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backends.contract.base_models import find_base_model
from backends.contract.config import Config, setting

MAX_PIXELS = 4_194_304
SIDE_STEP = 8
SAMPLERS = {
    "default": "as the base model came",
    "ddim": "DDIM",
    "euler": "Euler",
    "euler_a": "Euler ancestral",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_karras": "DPM++ 2M Karras",
    "unipc": "UniPC",
}
Sampler = Literal["default", "ddim", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "unipc"]


class LoraUse(BaseModel):
    """One LoRA in the mix. `weight` 0 leaves it out exactly; 1 is as trained."""

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
    width: int | None = setting(None, "Width", "64 to 4,096 px, a multiple of 8, or empty.", group="main", unit="px", ge=64, le=4096)
    height: int | None = setting(None, "Height", "64 to 4,096 px, a multiple of 8, or empty.", group="main", unit="px", ge=64, le=4096)
    sampler: Sampler = setting("default", "Sampler", "One of seven. How noise becomes a picture.", group="main", widget="choice")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Open settings become those of the base model, so that what is kept beside a picture is complete."""
        if not isinstance(values, dict):
            return values
        base = find_base_model(str(values.get("base_model", "pocket-sdxl")))
        side = base.resolution if base else 1024
        suits = {"guidance_scale": base.guidance_scale if base else 6.0, "num_inference_steps": base.num_inference_steps if base else 30}
        suits |= {"width": side, "height": side}
        return {**values, **{k: v for k, v in suits.items() if values.get(k) in (None, "")}}

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        for name, side in (("width", self.width), ("height", self.height)):
            if side and side % SIDE_STEP:
                below = side // SIDE_STEP * SIDE_STEP
                raise ValueError(
                    f"{name}: {name.capitalize()} is {side}; it must be a multiple of {SIDE_STEP}. Nearest: {below} or {below + SIDE_STEP}."
                )
        if (self.width or 0) * (self.height or 0) > MAX_PIXELS:
            raise ValueError(f"width: {self.width} × {self.height} px is too large; at most {MAX_PIXELS:,} px, such as 2048 × 2048.")
        return self
