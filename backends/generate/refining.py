"""The SDXL refiner: a second model that draws the last steps, as an ensemble of experts (arXiv 2307.01952, section 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline

from backends.contract.base_models import resolve_source
from backends.contract.draw import DrawConfig
from backends.contract.errors import DarkroomError
from backends.families.common import find_callback, quiet
from backends.families.loading import load_pipeline
from backends.families.protocol import Drawing, LoadOptions

FIELD, LATENTS = "refiner", 4


class Refiner:
    """A loaded refiner. Made by `load`."""

    def __init__(self, pipeline: Any, source: str) -> None:
        self.source, self._pipeline = source, quiet(pipeline)

    @classmethod
    def load(cls, source: str, family: Drawing) -> Refiner:
        """The refiner of this name, where the base model is.

        Raises:
            DarkroomError: When it cannot be had, is something else, or reads other latents than the base model's.
        """
        module = family.denoiser()[1]
        try:
            place = resolve_source(source)
        except DarkroomError as error:
            raise _unusable(source, "it is neither a folder on this machine nor a name of the hub") from error
        try:
            options = LoadOptions(source=place, device=module.device, dtype=module.dtype)
            pipeline = load_pipeline(StableDiffusionXLImg2ImgPipeline, options)
        except DarkroomError as error:
            raise _unusable(source, error.text.split(". ")[0].rstrip(".")) from error
        reads, given = pipeline.unet.config.in_channels, family.vae.config.latent_channels
        if (reads, given) != (LATENTS, LATENTS):  # diffusers takes anything else for a picture
            raise DarkroomError(
                f"The refiner reads latents with {reads} channels, the base model gives {given}; both must be {LATENTS}, as SDXL's. "
                "Leave the refiner empty.",
                field=FIELD,
            )
        pipeline.to(module.device)
        if pipeline.vae.config.sample_size > 256:
            pipeline.vae.enable_slicing()
        return cls(pipeline, source)

    def finish(
        self, latents: torch.Tensor, configs: Sequence[DrawConfig], *, sampler: Any, start: float, on_step: Callable[[int], None]
    ) -> Any:
        """Pixels from latents that the base model left at `start`, a share of the steps.

        Both stages walk down the same noise levels, so the base model's sampler goes on; only what is predicted is this model's own.
        `on_step` is told the number of steps of the whole picture.
        """
        c = configs[0]
        pipeline = self._pipeline
        predicts = pipeline.scheduler.config.prediction_type
        pipeline.scheduler = type(sampler).from_config(sampler.config, prediction_type=predicts)

        def after_step(_pipeline: Any, index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            left = pipeline.num_timesteps - index - 1
            on_step((c.num_inference_steps or 0) - left)
            return values

        with torch.inference_mode():
            return pipeline(
                prompt=[config.prompt for config in configs],
                negative_prompt=[config.negative_prompt for config in configs] if c.negative_prompt else None,
                image=latents,
                denoising_start=start,
                guidance_scale=c.guidance_scale,
                num_inference_steps=c.num_inference_steps,
                generator=[torch.Generator("cpu").manual_seed(c.seed) for _ in configs],
                output_type="np",
                **{find_callback(pipeline): after_step},
            ).images


def _unusable(source: str, reason: str) -> DarkroomError:
    name = Path(source).name if Path(source).is_absolute() else source
    return DarkroomError(
        f"The refiner “{name}” cannot be used: {reason}. Give a folder that holds it or its name on the hub, or leave the refiner empty.",
        field=FIELD,
    )
