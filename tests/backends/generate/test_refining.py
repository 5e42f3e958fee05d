"""The second stage: a tiny random SDXL with a tiny random refiner, against diffusers' ensemble of experts."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline, UNet2DConditionModel

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig
from backends.contract.errors import DarkroomError
from backends.generate.loading import load_draw_pipeline
from tests.backends.toys import build_base

PROMPT, STEPS = "a house by the sea", 10


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base with four latent channels, as SDXL has."""
    return build_base(tmp_path_factory.mktemp("base") / "tiny-xl")


@pytest.fixture(scope="module")
def refiner(base, tmp_path_factory):
    """A refiner: the second text encoder alone, a UNet of its own that is told a score of beauty."""
    folder = tmp_path_factory.mktemp("refiner") / "tiny-refiner"
    source = StableDiffusionXLPipeline.from_pretrained(base)
    torch.manual_seed(9)
    settings = {**source.unet.config, "cross_attention_dim": 16, "projection_class_embeddings_input_dim": 16 + 5 * 4}
    unet = UNet2DConditionModel.from_config(settings)
    parts = {"vae": source.vae, "text_encoder": None, "tokenizer": None, "tokenizer_2": source.tokenizer_2, "unet": unet}
    StableDiffusionXLImg2ImgPipeline(
        **parts, text_encoder_2=source.text_encoder_2, scheduler=source.scheduler, requires_aesthetics_score=True, add_watermarker=False
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(base):
    return load_draw_pipeline(str(base))


def config(base, **values):
    quick = {"prompt": PROMPT, "base_model": str(base), "num_inference_steps": STEPS, "seed": 3, "width": 64, "height": 64}
    return parse_config(DrawConfig, {**quick, "guidance_scale": 4, **values})


def draw(pipeline, settings, on_step=lambda done: None):
    pipeline.check(settings)
    return np.asarray(pipeline.draw([settings], on_step)[0])


def ensemble(base, refiner, share, sampler=None):
    """Both stages by diffusers alone, as its guide writes them."""
    first, second = StableDiffusionXLPipeline.from_pretrained(base), StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner)
    options = {"num_inference_steps": STEPS, "guidance_scale": 4, "generator": torch.Generator("cpu").manual_seed(3)}
    if sampler:
        first.scheduler, second.scheduler = (sampler.from_config(p.scheduler.config) for p in (first, second))
    latents = first(PROMPT, width=64, height=64, denoising_end=1 - share, output_type="latent", **options).images
    options["generator"] = torch.Generator("cpu").manual_seed(3)
    return np.asarray(second(PROMPT, image=latents, denoising_start=1 - share, **options).images[0])


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_both_stages_equal_diffusers_ensemble_of_experts_to_the_pixel(pipeline, base, refiner, share):
    drawn = draw(pipeline, config(base, refiner=str(refiner), refiner_share=share))
    assert np.array_equal(drawn, ensemble(base, refiner, share))
    assert not np.array_equal(drawn, draw(pipeline, config(base)))


def test_the_refiner_goes_on_with_the_sampler_of_the_base(pipeline, base, refiner):
    from diffusers import EulerDiscreteScheduler

    drawn = draw(pipeline, config(base, refiner=str(refiner), sampler="euler"))
    assert np.array_equal(drawn, ensemble(base, refiner, 0.2, EulerDiscreteScheduler))


def test_steps_are_counted_over_both_stages(pipeline, base, refiner):
    told: list[int] = []
    draw(pipeline, config(base, refiner=str(refiner), refiner_share=0.3), told.append)
    assert told == list(range(1, STEPS + 1))


@pytest.mark.parametrize("name", ["nobody/never-published", "/nowhere/refiner", "xl"])
def test_a_refiner_that_is_not_there_is_told_in_one_sentence_with_the_way_out(pipeline, base, monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DarkroomError, match="^The refiner “.*” cannot be used: .* or leave the refiner empty.$") as refused:
        pipeline.refine_with(name)
    assert refused.value.field == "refiner" and "/nowhere" not in refused.value.text
    assert "loras" not in refused.value.text and "pocket" not in refused.value.text


def test_something_else_than_a_refiner_is_refused(pipeline, base, refiner, tmp_path):
    with pytest.raises(DarkroomError, match="is an SDXL; SDXL refiner is needed here"):
        pipeline.refine_with(str(base))
    shutil.copytree(refiner, tmp_path / "wide")
    path = tmp_path / "wide" / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "in_channels": 5}))
    shutil.rmtree(tmp_path / "wide" / "unet")
    torch.manual_seed(0)
    settings = {**UNet2DConditionModel.load_config(str(refiner / "unet")), "in_channels": 5}
    UNet2DConditionModel.from_config(settings).save_pretrained(tmp_path / "wide" / "unet")
    with pytest.raises(DarkroomError, match="reads latents with 5 channels, the base model gives 4"):
        pipeline.refine_with(str(tmp_path / "wide"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"base_model": "pocket-sd15", "refiner": "some/refiner"}, "Pocket 1.5 is SD 1.5; the refiner finishes pictures of SDXL only"),
        ({"base_model": "pocket-flux", "refiner": "some/refiner"}, "is Flux; the refiner finishes"),
        ({"refiner": "some/refiner", "refiner_share": 0.9}, "0.05 to 0.5"),
        ({"refiner_share": 0.2}, "There is no refiner that could take a share"),
        ({"refiner": "some/refiner", "image": "house.png"}, "not edits"),
    ],
)
def test_what_a_refiner_cannot_do_is_told_before_anything_is_loaded(values, words):
    with pytest.raises(DarkroomError, match=words):
        parse_config(DrawConfig, {"base_model": "pocket-sdxl", **values})
