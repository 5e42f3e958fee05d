"""One base model, loaded once, that draws batches of pictures with any mix of results, from words or from pictures to edit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from backends.contract.draw import DrawConfig
from backends.contract.errors import DarkroomError
from backends.families.common import find_callback, tell_size
from backends.families.protocol import Conditions, Drawing
from backends.families.samplers import build_sampler
from backends.generate.editing import fit_batch
from backends.generate.mix import Mix
from backends.generate.refining import Refiner

_KEPT_EMBEDDINGS = 128
OnStep = Callable[[int], None]


class DrawPipeline:
    """A loaded base model. Made by `load_draw_pipeline`.

    Args:
        family: Its drawing side.
        name: What it is called, for sentences.
        base_model: How the settings name it.
        notices: What a person should know of how it was loaded.
    """

    def __init__(self, family: Drawing, name: str, base_model: str, notices: Sequence[str] = ()) -> None:
        self.name, self.notices = name, list(notices)
        self._family, self._pipeline = family, family.pipeline
        self._own_sampler = family.pipeline.scheduler
        self._mix = Mix(family, name, base_model)
        self._editor: Any = None
        self._refiner: Refiner | None = None
        self._embeddings: OrderedDict[tuple, Conditions] = OrderedDict()

    def check(self, config: DrawConfig) -> None:
        """Whether these settings can be drawn with this base model, before anything is.

        Raises:
            DarkroomError: When a result does not fit, the sampler does not, or picture and model do not go together.
        """
        edits = self._mix.check(config.loras) or self._mix.base_edits
        build_sampler(config.sampler, self._own_sampler, self._family.samplers, self.name)
        if config.image and not edits:
            raise DarkroomError(
                f"{self.name} by itself does not edit pictures. Switch on a model that was trained on edits from it, "
                "or draw without a picture.",
                field="image",
            )
        if edits and not config.image:
            raise DarkroomError("This model edits pictures. Choose a picture to edit, or switch the model off.", field="image")

    def draw(self, configs: Sequence[DrawConfig], on_step: OnStep) -> list[Image.Image]:
        """One picture for each of the settings, in one batch; they differ in their prompts and pictures to edit only.

        Each starts from the noise of its seed, drawn on the CPU by itself, so that neither the batch nor the device changes it.

        Args:
            configs: The batch.
            on_step: Called after each denoising step with the number done; may raise to leave.
        """
        first = configs[0]
        text_loras = self._mix.use(first.loras)
        embeddings = [self._embed(c, text_loras) for c in configs]
        words = {name: torch.cat([e[name] for e in embeddings]) for name in embeddings[0]}
        arguments = {**words, **self._family.guide(first.guidance_scale or 0.0)}
        arguments["generator"] = [torch.Generator("cpu").manual_seed(first.seed) for _ in configs]
        pixels = (self._edit if first.image else self._imagine)(configs, arguments, on_step)
        if not np.isfinite(pixels).all():
            raise DarkroomError(
                "The picture came out as numbers that are not finite. Lower the LoRA weight or the guidance, "
                "or choose an earlier checkpoint."
            )
        return self._pipeline.image_processor.numpy_to_pil(pixels)

    def check_lengths(self, prompts: Sequence[str]) -> list[str]:
        """A sentence for each prompt that is longer than the text encoder reads."""
        tokenizer, limit = self._family.reading()
        sentences = []
        for prompt in prompts:
            tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            if len(tokens) > limit:
                lost = tokenizer.decode(tokens[limit:]).strip()
                shown = lost if len(lost) <= 60 else lost[:60] + "…"
                sentences.append(f"The prompt has {len(tokens)} tokens; {self.name} reads the first {limit}. Not read: “{shown}”.")
        return sentences

    def check_negative(self, configs: Sequence[DrawConfig]) -> list[str]:
        """A sentence where words to leave out mean nothing."""
        if not any(c.negative_prompt for c in configs):
            return []
        guidance = configs[0].guidance_scale or 0.0
        if any(name.startswith("negative") for name in self._embed(configs[0], ())):
            return []
        if guidance > 1:
            return [f"{self.name} draws with the words only, so what to leave out is not read. Say what should be there instead."]
        return ["What to leave out is read only where “Follow the words” is above 1."]

    def refine_with(self, source: str) -> None:
        """Loads the refiner of this name, unless it is there.

        Raises:
            DarkroomError: When it cannot be had, or reads other latents than this base model's.
        """
        if self._refiner is None or self._refiner.source != source:
            self._refiner = None  # two at once may not fit in memory
            self._refiner = Refiner.load(source, self._family)

    def _imagine(self, configs: Sequence[DrawConfig], arguments: dict[str, Any], on_step: OnStep) -> Any:
        c = configs[0]
        arguments["latents"] = self._family.start_latents([c.seed] * len(configs), width=c.width or 0, height=c.height or 0)
        arguments |= {"width": c.width, "height": c.height}
        if c.refiner is None:
            return self._run(self._pipeline, c, arguments, on_step)
        self.refine_with(c.refiner)
        assert self._refiner is not None
        handed_over = 1 - (c.refiner_share or 0.0)
        latents = self._run(self._pipeline, c, {**arguments, "denoising_end": handed_over, "output_type": "latent"}, on_step)
        return self._refiner.finish(latents, configs, sampler=self._pipeline.scheduler, start=handed_over, on_step=on_step)

    def _edit(self, configs: Sequence[DrawConfig], arguments: dict[str, Any], on_step: OnStep) -> Any:
        c = configs[0]
        pictures = fit_batch(configs)
        width, height = pictures[0].size
        arguments["latents"] = self._family.start_latents([c.seed] * len(configs), width=width, height=height)
        if self._editor is None:
            self._editor = self._family.build_editor()
        arguments |= {"image": pictures, "image_guidance_scale": c.image_guidance_scale, **tell_size(self._editor, width, height)}
        return self._run(self._editor, c, arguments, on_step)

    def _run(self, pipeline: Any, config: DrawConfig, arguments: dict[str, Any], on_step: OnStep) -> Any:
        pipeline.scheduler = build_sampler(config.sampler, self._own_sampler, self._family.samplers, self.name)
        return run(pipeline, {"num_inference_steps": config.num_inference_steps, "output_type": "np", **arguments}, on_step)

    def _embed(self, config: DrawConfig, text_loras: tuple) -> Conditions:
        """Embeddings of one prompt under the pipelines' names, kept for the next use."""
        guidance = config.guidance_scale or 0.0
        key = (config.prompt, config.negative_prompt, guidance > 1, text_loras)
        if key not in self._embeddings:
            with torch.inference_mode():
                self._embeddings[key] = self._family.encode_words(config.prompt, config.negative_prompt, guidance)
            while len(self._embeddings) > _KEPT_EMBEDDINGS:
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(key)
        return self._embeddings[key]


def run(pipeline: Any, arguments: dict[str, Any], on_step: OnStep) -> Any:
    """Pictures or latents by a pipeline of diffusers, told step by step."""
    done = 0

    def after_step(*told: Any) -> dict[str, Any]:
        nonlocal done
        done += 1
        on_step(done)
        return told[-1] if isinstance(told[-1], dict) else {}

    with torch.inference_mode():
        return pipeline(**arguments, **{find_callback(pipeline): after_step}).images
