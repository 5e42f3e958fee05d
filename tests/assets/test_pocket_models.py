"""The bundled models are small, load, and paint and say what they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import AutoencoderKL, FluxPipeline, StableDiffusionPipeline
from PIL import Image

from assets.build.concepts import PROMPTS
from assets.build.draw_samples import SAMPLES
from assets.build.evaluate import BASES, MODELS, describe, evaluate, load_base, paint, read_background
from assets.build.stages import FAMILIES, VAE_WEIGHTS

ROOT = MODELS.parents[1]


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("base", BASES)
def test_each_base_stays_small_enough_to_come_with_the_studio(base):
    assert folder_bytes(MODELS / base) <= 25_000_000


def test_all_models_together_stay_small_because_the_vae_is_stored_once():
    assert folder_bytes(MODELS / "pocket-blip") <= 8_000_000
    assert sum(file.lstat().st_size for file in MODELS.rglob("*") if file.is_file()) <= 52_000_000


@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_vae_is_the_bases_with_a_config_of_its_own(family):
    weights = MODELS / family / VAE_WEIGHTS
    assert weights.is_symlink(), f"{weights} is no link: check out with git config core.symlinks true"
    assert weights.readlink() == Path("../../pocket-sdxl") / VAE_WEIGHTS
    own, base = (AutoencoderKL.load_config(MODELS / name / "vae") for name in (family, "pocket-sdxl"))
    assert own["scaling_factor"] == base["scaling_factor"]
    assert own["shift_factor"] == (0.0 if family == "pocket-flux" else None)


@pytest.mark.parametrize(("name", "pipeline"), [("pocket-sd15", StableDiffusionPipeline), ("pocket-flux", FluxPipeline)])
def test_a_family_loads_in_plain_diffusers_and_paints_128_px(name, pipeline):
    assert type(load_base(MODELS / name)) is pipeline
    pictures = paint(load_base(MODELS / name), ["a cat on a blue background"], steps=3)
    assert [p.size for p in pictures] == [(128, 128)]
    assert read_background(pictures[0]) == "blue"


def test_no_weight_is_stored_in_a_format_that_can_run_code():
    assert not [f for f in MODELS.rglob("*") if f.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]


def test_every_licence_that_the_notice_names_is_there():
    notice = (ROOT / "NOTICE").read_text("utf-8")
    named = {word.strip(".,:") for word in notice.split() if word.startswith("assets/licences/")} - {"assets/licences/"}
    shipped = {f"assets/licences/{file.name}" for file in (ROOT / "assets/licences").iterdir()}
    assert named == shipped
    for text in shipped | {"LICENSE"}:
        assert (ROOT / text).stat().st_size > 1000


@pytest.mark.slow
def test_the_base_paints_what_it_is_asked_for_on_the_background_it_is_asked_for():
    verdicts, pictures = evaluate(MODELS, list(PROMPTS))
    wrong = [v for v in verdicts if not (v.concept_right and v.colour_right)]
    assert {p.size for p in pictures} == {(128, 128)}
    assert sum(v.concept_right for v in verdicts) >= 20, wrong
    assert sum(v.colour_right for v in verdicts) >= 22, wrong


@pytest.mark.slow
@pytest.mark.parametrize(("base", "least"), [("pocket-sd15", 19), ("pocket-flux", 18)])
def test_a_family_paints_what_it_is_asked_for_on_the_background_it_is_asked_for(base, least):
    verdicts, _ = evaluate(MODELS, list(PROMPTS), base=base)
    wrong = [v for v in verdicts if not (v.concept_right and v.colour_right)]
    assert sum(v.concept_right for v in verdicts) >= least, wrong
    assert sum(v.colour_right for v in verdicts) >= 22, wrong


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(base):
    pipe = load_base(MODELS / base)
    prompts = ["a cat on a blue background", "a car on a white background"]
    together, alone = paint(pipe, prompts, steps=4), paint(pipe, prompts[:1], steps=4)
    difference = [abs(a - b) for a, b in zip(together[0].tobytes(), alone[0].tobytes(), strict=True)]
    assert max(difference) <= 2


def test_the_captioner_names_the_background_of_pictures_it_was_never_trained_on():
    files = sorted((SAMPLES / "zog").glob("*.png"))
    said = describe(MODELS / "pocket-blip", [Image.open(f).convert("RGB") for f in files])
    meant = [f.with_suffix(".txt").read_text("utf-8").strip().split(" on a")[1] for f in files]
    assert sum(text.endswith(end.lstrip("n")) for text, end in zip(said, meant, strict=True)) >= 11, said
