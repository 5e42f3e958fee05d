"""A sample of a run is the picture that plain diffusers draws with what the run left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

from backends.engine.export import export
from tests.backends.engine import toy
from tests.backends.engine.conftest import PROMPT

PLAIN = {"sd15": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline, "flux": FluxPipeline}
EDITING = {"sd15": StableDiffusionInstructPix2PixPipeline, "sdxl": StableDiffusionXLInstructPix2PixPipeline}
LORAS = [f"{family}/{method}" for family in PLAIN for method in ("text_to_image", "dreambooth")]


def draw(pipeline: Any, **arguments: Any) -> np.ndarray:
    """One picture as anybody would draw it, from the seed of the samples."""
    pipeline.set_progress_bar_config(disable=True)
    if isinstance(pipeline, FluxPipeline):
        arguments["max_sequence_length"] = 24
    options = {"num_inference_steps": 2, "guidance_scale": 3.0, "generator": torch.Generator().manual_seed(42), **arguments}
    return np.asarray(pipeline(PROMPT if "image" not in arguments else options.pop("prompt"), **options).images[0]).astype(int)


def pixels(path: Any) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def furthest(one: np.ndarray, other: np.ndarray) -> int:
    """Largest difference of any pixel, of 255."""
    return int(np.abs(one - other).max())


@pytest.mark.parametrize("text", [False, True], ids=["alone", "with text encoders"])
@pytest.mark.parametrize("name", LORAS)
def test_a_lora_in_plain_diffusers_draws_the_very_sample(trained, toy_base, name, text):
    family = name.partition("/")[0]
    run = trained(name, train_text_encoder=text)
    pipeline = PLAIN[family].from_pretrained(toy_base(family))
    base = draw(pipeline, width=64, height=64)
    pipeline.load_lora_weights(run.root, weight_name=run.result.name)
    found = draw(pipeline, width=64, height=64)
    assert furthest(found, pixels(run.sample(3, 0))) == 0
    assert furthest(found, base) > 10


@pytest.mark.parametrize("variant", ["dora", "rslora"])
@pytest.mark.parametrize("family", PLAIN)
def test_other_kinds_of_lora_too(trained, toy_base, family, variant):
    run = trained(f"{family}/text_to_image", lora_variant=variant)
    pipeline = PLAIN[family].from_pretrained(toy_base(family))
    base = draw(pipeline, width=64, height=64)
    pipeline.load_lora_weights(run.root, weight_name=run.result.name)
    assert furthest(draw(pipeline, width=64, height=64), pixels(run.sample(3, 0))) == 0 < furthest(pixels(run.sample(3, 0)), base)


@pytest.mark.parametrize("average", [False, True], ids=["plain", "average"])
@pytest.mark.parametrize("name", ["sd15/text_to_image_full", "sdxl/text_to_image_full"])
def test_a_whole_unet_in_its_folder_draws_the_very_sample(trained, tmp_path, name, average):
    run = trained(name, use_ema=average)
    export(run.result, tmp_path / "folder", "folder")
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "folder")
    assert type(pipeline) is PLAIN[name.partition("/")[0]]
    assert furthest(draw(pipeline, width=64, height=64), pixels(run.sample(3, 0))) == 0


@pytest.mark.parametrize("name", ["sd15/instruct_pix2pix", "sdxl/instruct_pix2pix"])
def test_an_edit_in_the_exported_folder_draws_the_very_sample(trained, tmp_path, name):
    """In a size that is not the base model's own, wider than high."""
    run = trained(name, sizes=[(128, 64)] * 6, resolution=192, sample_prompts=[])  # one alone: a batch rounds otherwise, by 1 of 255
    export(run.result, tmp_path / "folder", "folder")
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "folder")
    assert type(pipeline) is EDITING[name.partition("/")[0]] and pipeline.unet.config.in_channels == 8
    shown = toy.events_of(run, "sample")[-1]
    before = Image.open(run.root / shown["before"])
    sized = {"width": before.width, "height": before.height} if name.startswith("sdxl") else {}
    found = draw(pipeline, prompt=shown["text"], image=before, image_guidance_scale=1.5, **sized)
    assert before.width > before.height and found.shape[:2] == (before.height, before.width)
    assert furthest(found, pixels(run.root / shown["file"])) == 0
