"""What is known of a base model before it is loaded, and what the settings of a picture refuse by it."""

from __future__ import annotations

import json
import shutil

import pytest

from backends.contract.base_models import BASE_MODELS, MODELS
from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig
from backends.contract.drawing import FAMILIES, describe_base, fit_size, name_publicly
from backends.contract.errors import DarkroomError


@pytest.mark.parametrize("key", BASE_MODELS)
def test_a_known_base_model_is_described_by_what_is_written_of_it(key):
    facts, known = describe_base(key), BASE_MODELS[key]
    assert (facts.name, facts.family, facts.resolution, facts.num_inference_steps) == (
        known.name, known.family, known.resolution, known.num_inference_steps
    )  # fmt: skip
    assert facts.samplers == FAMILIES[known.family].samplers and not facts.edits
    assert facts.guided == (key in ("flux-dev", "pocket-flux")) == (not facts.reads_negative)


@pytest.mark.parametrize("pocket", ["pocket-sd15", "pocket-sdxl", "pocket-flux"])
def test_a_folder_is_described_by_its_own_files(tmp_path, pocket):
    for name in ("model_index.json", "unet/config.json", "transformer/config.json", "vae/config.json"):
        if (MODELS / pocket / name).is_file():
            (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MODELS / pocket / name, tmp_path / "own" / name)
    facts = describe_base(str(tmp_path / "own"))
    assert (facts.name, facts.family) == ("own", BASE_MODELS[pocket].family)
    if pocket != "pocket-flux":
        assert facts.resolution == 128
        index = tmp_path / "own" / "model_index.json"
        kind = "StableDiffusionInstructPix2PixPipeline" if pocket == "pocket-sd15" else "StableDiffusionXLInstructPix2PixPipeline"
        index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": kind}))
        assert describe_base(str(tmp_path / "own")).edits
    else:
        assert facts.guided
        path = tmp_path / "own" / "transformer" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "guidance_embeds": False}))
        assert describe_base(str(tmp_path / "own")).reads_negative


def test_what_cannot_be_looked_at_is_left_open_and_no_name_fails(tmp_path):
    for name in ("somebody/something", "no such thing", "", str(tmp_path), "../..", "a--b/c..d"):
        facts = describe_base(name)
        assert facts.family == "" and len(facts.samplers) == 7 and facts.reads_negative


def test_a_path_of_this_machine_never_leaves_it(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model_index.json").write_text("{}")
    assert name_publicly(str(tmp_path / "mine")) == "mine"
    assert name_publicly("pocket-flux") == "pocket-flux" and name_publicly("some/model") == "some/model"


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((1024, 1024), (512, 512)), ((64, 64), (512, 512)), ((1600, 900), (680, 384)), ((900, 1600), (384, 680)), ((20_000, 64), (4096, 64))],
)
def test_a_picture_is_drawn_in_its_shape_at_the_area_that_the_model_knows(size, fitted):
    assert fit_size(*size, resolution=512, step=8) == fitted


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"base_model": "pocket-flux", "width": 136}, "Width is 136; it must be a multiple of 16. Nearest: 128 or 144"),
        ({"base_model": "flux-dev", "sampler": "ddim"}, "DDIM cannot draw with Flux dev. Choose one of: as the base model came, Euler"),
        ({"base_model": "pocket-sdxl", "width": 132}, "multiple of 8"),
        ({"base_model": "flux-schnell", "image": "x.png"}, "Flux schnell cannot be taught to edit"),
        ({"image_guidance_scale": 2}, "There is no picture to keep"),
        ({"image": "x.png", "image_guidance_scale": 11}, "from 1 to 10"),
        ({"image": "x.png", "refiner": "a/b"}, "not edits"),
    ],
)
def test_what_a_family_cannot_do_is_refused_by_the_settings(values, words):
    with pytest.raises(DarkroomError, match=words):
        parse_config(DrawConfig, values)


def test_open_settings_become_what_suits_the_base_model_and_the_size_of_an_edit_stays_open():
    flux = parse_config(DrawConfig, {"base_model": "flux-dev"})
    assert (flux.guidance_scale, flux.num_inference_steps, flux.width, flux.image_guidance_scale) == (3.5, 28, 1024, None)
    edit = parse_config(DrawConfig, {"base_model": "sd15", "image": "x.png"})
    assert (edit.guidance_scale, edit.width, edit.height, edit.image_guidance_scale) == (7.5, None, None, 1.5)
    assert parse_config(DrawConfig, {"base_model": "sdxl", "refiner": "a/b"}).refiner_share == 0.2
    assert parse_config(DrawConfig, {"image": "", "refiner": ""}).image is None
