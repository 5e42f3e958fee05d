"""One base model, loaded once, that draws batches of pictures with any mix of LoRAs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UniPCMultistepScheduler,
)
from PIL import Image

from backends.contract.base_models import find_base_model, resolve_source
from backends.contract.draw import DrawConfig
from backends.contract.errors import DarkroomError
from backends.families.loading import load_pipeline
from backends.families.protocol import LoadOptions
from backends.generate.adapters import AdapterRack

_SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"use_karras_sigmas": False}),
    "dpmpp_2m_karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "unipc": (UniPCMultistepScheduler, {}),
}
_KEPT_EMBEDDINGS = 128


class DrawPipeline:
    """A loaded base model. Made by `load_draw_pipeline`."""

    def __init__(self, pipeline: Any, name: str) -> None:
        self.name = name
        self._pipeline = pipeline
        self._base_scheduler = pipeline.scheduler
        self._rack = AdapterRack(pipeline, name)
        self._embeddings: OrderedDict[tuple, tuple[torch.Tensor, ...]] = OrderedDict()

    def draw(self, config: DrawConfig, prompts: list[str], on_step: Callable[[int], None]) -> list[Image.Image]:
        """One picture a prompt, in one batch. Each starts from the noise of `config.seed`, drawn on the CPU by itself,
        so that neither the batch nor the device changes it.

        Args:
            config: Everything but the prompts.
            prompts: Their number is the batch size.
            on_step: Called after each denoising step with the number done; may raise to leave.
        """
        text_loras = self._rack.use(config.loras)
        self._pipeline.scheduler = self._scheduler(config.sampler)
        embeddings = [self._embed(p, config.negative_prompt, config.guidance_scale or 0.0, text_loras) for p in prompts]
        generators = [torch.Generator("cpu").manual_seed(config.seed) for _ in prompts]
        unet, scale = self._pipeline.unet, self._pipeline.vae_scale_factor
        shape = (1, unet.config.in_channels, (config.height or 0) // scale, (config.width or 0) // scale)
        noise = torch.cat([torch.randn(shape, generator=g) for g in generators])
        negative, pooled_negative = self._stack(embeddings, 1), self._stack(embeddings, 3)

        def after_step(_pipeline: Any, index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            on_step(index + 1)
            return values

        with torch.inference_mode():
            pixels = self._pipeline(
                prompt_embeds=self._stack(embeddings, 0), pooled_prompt_embeds=self._stack(embeddings, 2),
                negative_prompt_embeds=negative, negative_pooled_prompt_embeds=pooled_negative,
                guidance_scale=config.guidance_scale, num_inference_steps=config.num_inference_steps,
                width=config.width, height=config.height, generator=generators,
                latents=noise.to(unet.device, unet.dtype),
                output_type="np", callback_on_step_end=after_step,
            ).images  # fmt: skip
        if not np.isfinite(pixels).all():
            raise DarkroomError(
                "The picture came out as numbers that are not finite. Lower the LoRA weight or the guidance, "
                "or choose an earlier checkpoint."
            )
        return self._pipeline.image_processor.numpy_to_pil(pixels)

    def check_lengths(self, prompts: list[str]) -> list[str]:
        """A sentence for each prompt that is longer than the text encoder reads."""
        tokenizer = self._pipeline.tokenizer
        limit, sentences = tokenizer.model_max_length - 2, []
        for prompt in prompts:
            tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            if len(tokens) > limit:
                lost = tokenizer.decode(tokens[limit:]).strip()
                shown = lost if len(lost) <= 60 else lost[:60] + "…"
                sentences.append(f"The prompt has {len(tokens)} tokens; {self.name} reads the first {limit}. Not read: “{shown}”.")
        return sentences

    def _embed(self, prompt: str, negative: str, guidance: float, text_loras: tuple) -> tuple[torch.Tensor, ...]:
        """Prompt embeddings of one prompt: (text, negative text, pooled, negative pooled), kept for the next use."""
        key = (prompt, negative, guidance > 1, text_loras)
        if key not in self._embeddings:
            with torch.inference_mode():
                self._embeddings[key] = self._pipeline.encode_prompt(
                    prompt=prompt, negative_prompt=negative or None, do_classifier_free_guidance=guidance > 1)  # fmt: skip
            while len(self._embeddings) > _KEPT_EMBEDDINGS:
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(key)
        return self._embeddings[key]

    def _stack(self, embeddings: list[tuple[torch.Tensor, ...]], part: int) -> torch.Tensor | None:
        return None if embeddings[0][part] is None else torch.cat([e[part] for e in embeddings])

    def _scheduler(self, sampler: str) -> Any:
        if sampler == "default":
            return self._base_scheduler
        kind, options = _SAMPLERS[sampler]
        return kind.from_config(self._base_scheduler.config, **options)


def load_draw_pipeline(base_model: str) -> DrawPipeline:
    """The base model of this name, on the GPU where there is one.

    Raises:
        DarkroomError: When it cannot be found or reached, or is of another family.
    """
    source, known = resolve_source(base_model), find_base_model(base_model)
    name = known.name if known else Path(base_model).name if Path(source).is_dir() else base_model
    cuda = torch.cuda.is_available()
    device, dtype = torch.device("cuda" if cuda else "cpu"), torch.float16 if cuda else torch.float32
    try:
        pipeline = load_pipeline(StableDiffusionXLPipeline, LoadOptions(source=source, device=device, dtype=dtype))
    except DarkroomError as error:
        raise DarkroomError(error.text, field="base_model") from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    if pipeline.vae.config.sample_size > 256:
        pipeline.vae.enable_slicing()  # decoding a batch of large pictures at once needs more memory than drawing it
    return DrawPipeline(pipeline, name)
