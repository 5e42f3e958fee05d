"""The building of the pocket models works from the icon packages to the finished folders, on a tiny budget."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import count
from random import Random
from statistics import mean

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import AutoProcessor, CLIPTokenizer

from assets.build import base, blip, vae
from assets.build.colours import COLOURS
from assets.build.concepts import CONCEPTS, PROMPTS, caption
from assets.build.evaluate import MODELS, describe, judge, load_base, paint, read_background, summarise
from assets.build.loop import STATE, Job, Schedule, train
from assets.build.sheet import draw_sheet
from assets.build.stages import install, make_base, make_blip, make_drawings, make_latents, make_vae
from assets.build.tokenizer import build_tokenizer
from tests.assets.conftest import DRAWN, tiny_settings

pytestmark = pytest.mark.slow


def fell(losses: list[float], least: float) -> bool:
    """Whether the last quarter of the losses is below `least` times the first quarter."""
    part = len(losses) // 4
    return mean(losses[-part:]) < least * mean(losses[:part])


def test_every_vendors_drawing_is_found_and_the_held_out_things_are_never_trained_on(built):
    by_character = {f"{vendor}/{thing}" for vendor in ("flat", "noto", "twemoji") for thing in DRAWN}
    assert set(built.drawings.glyphs) == by_character | {f"fx/{thing}" for thing in ("cat", "sailboat", "penguin")}
    assert {name for _, name in built.drawings.of("flat", "noto", "fx", "twemoji")} == set(DRAWN) - {"penguin"}
    assert len(built.drawings.others) == 8
    assert "penguin" not in {name for _, name, _ in built.latents.subjects}


def test_unet_with_text_encoders_and_captioner_learn(built):
    assert fell(built.base.losses, 0.9)
    assert fell(built.blip.losses, 0.6)


def test_the_autoencoder_learns(built):
    torch.manual_seed(built.settings.seed)
    untrained = vae.build_vae(built.settings.vae)
    crops = vae.draw_batch(built.drawings, Random(1), 64, 32)
    with torch.no_grad():
        before, after = (
            float(vae.compute_vae_loss(model, crops, 0.0, 0.0, torch.Generator().manual_seed(1))) for model in (untrained, built.vae.module)
        )
    assert after < 0.85 * before


def test_latents_are_centred_and_the_stored_autoencoder_delivers_them_so(built):
    values = built.latents.values.float()
    assert values.mean((0, 2, 3)).abs().max() < 0.01
    assert values.std() == pytest.approx(1, abs=0.01)
    stored = AutoencoderKL.from_pretrained(built.settings.work / "latents" / "vae").eval()
    plain = AutoencoderKL.from_pretrained(built.settings.work / "vae" / "model").eval()
    picture = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        centred, raw = (model.encode(picture).latent_dist.mode() for model in (stored, plain))
        shift = (raw - centred).mean((0, 2, 3))
        assert (raw - centred - shift[None, :, None, None]).abs().max() < 1e-4
        assert (stored.decode(centred).sample - plain.decode(raw).sample).abs().max() < 1e-3


def test_the_finished_folders_load_and_are_judged_as_the_shipped_ones_are(built):
    pictures = paint(load_base(built.settings.out / "pocket-sdxl"), ["a cat on a red background", "a house"], steps=2)
    assert [p.size for p in pictures] == [(128, 128)] * 2
    assert all(isinstance(text, str) for text in describe(built.settings.out / "pocket-blip", pictures))
    processor = AutoProcessor.from_pretrained(built.settings.out / "pocket-blip")
    theirs = processor(images=pictures, return_tensors="pt").pixel_values
    assert (theirs - blip.to_pixel_values(pictures)).abs().max() < 1e-5


@pytest.mark.parametrize("stage", ["vae", "base", "blip"])
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(built, stage, tmp_path, monkeypatch):
    tiny = tiny_settings(tmp_path)
    phases = replace(tiny.vae, steps=8, medium_from=0.5, whole_from=0.8, sharp_from=0.3)
    short = replace(tiny, save_every=4, vae=phases, base=replace(tiny.base, steps=8), blip=replace(tiny.blip, steps=8))
    module, function, run = {
        "vae": (vae, "draw_batch", lambda to: vae.train_vae(short, built.drawings, to)),
        "base": (base, "vary_time_ids", lambda to: base.train_base(short, built.latents, built.tokenizer, to)),
        "blip": (blip, "compute_caption_loss", lambda to: blip.train_blip(short, built.drawings, to, to / "model")),
    }[stage]
    uninterrupted = run(tmp_path / "through")
    real, calls = getattr(module, function), count()

    def die_in_the_seventh_step(*args):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, function, die_in_the_seventh_step)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    resumed = run(tmp_path / "killed")
    assert resumed.losses == uninterrupted.losses[4:]
    for mine, theirs in zip(resumed.module.parameters(), uninterrupted.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_state_of_other_settings_is_refused_with_the_way_out(tmp_path):
    layer = torch.nn.Linear(2, 2)
    job = Job("x", layer, lambda step: layer(torch.ones(1, 2)).pow(2).sum(), Schedule(0.1, 1, 0.5))
    train(job, tmp_path, steps=3, seed=0, save_every=1)
    assert (tmp_path / STATE).is_file()
    with pytest.raises(ValueError, match="Delete its folder"):
        train(job, tmp_path, steps=4, seed=0, save_every=1)


def test_the_result_is_the_running_average_where_one_is_kept(tmp_path):
    layer = torch.nn.Linear(2, 2)
    start = copy.deepcopy(layer)
    job = Job("x", layer, lambda step: layer(torch.ones(1, 2)).sum(), Schedule(0.1, 1, 0.9), averaging=0.9)
    result = train(job, tmp_path, steps=5, seed=0, save_every=5).module
    for begun, averaged, last in zip(start.parameters(), result.parameters(), layer.parameters(), strict=True):
        assert ((averaged - begun).abs() < (last - begun).abs()).all()


def test_a_stage_whose_result_is_there_is_skipped(built):
    files = [f for f in built.settings.work.rglob("*") if f.is_file()]
    before = {f: f.stat().st_mtime_ns for f in files}
    for stage in (make_drawings, make_vae, make_latents, make_base, make_blip):
        stage(built.settings)
    assert {f: f.stat().st_mtime_ns for f in files} == before


def test_new_models_take_the_place_of_the_old_ones_only_when_all_are_there(families, tmp_path):
    models = tmp_path / "models"
    (models / "pocket-sdxl").mkdir(parents=True)
    (models / "pocket-sdxl" / "old").touch()
    with pytest.raises(FileNotFoundError, match="Build it first"):
        install(tiny_settings(tmp_path), models)
    assert (models / "pocket-sdxl" / "old").exists()
    install(families, models)
    assert sorted(p.name for p in models.iterdir()) == ["pocket-blip", "pocket-flux", "pocket-sd15", "pocket-sdxl"]
    assert not (models / "pocket-sdxl" / "old").exists()
    assert (models / "pocket-sdxl" / "model_index.json").is_file()


def test_the_vocabulary_is_the_same_every_time_and_reads_any_text(built):
    again = build_tokenizer(built.drawings.names, built.settings.base.num_merges)
    assert again.get_vocab() == built.tokenizer.get_vocab()
    for text in ("zog on a red background", "Größe 42, naïve — 猫!"):
        ids = again(text).input_ids
        assert ids[0] == again.bos_token_id and ids[-1] == again.eos_token_id
        assert again.unk_token_id not in ids[1:-1]


def test_every_judged_prompt_fits_into_the_shipped_vocabularys_24_tokens():
    shipped = CLIPTokenizer.from_pretrained(MODELS / "pocket-sdxl" / "tokenizer")
    assert len(shipped) == 1909
    assert shipped.model_max_length == 24
    assert max(len(shipped(caption(*prompt)).input_ids) for prompt in PROMPTS) <= 24


def test_the_judge_finds_what_is_wrong():
    red, blue = (Image.new("RGB", (128, 128), COLOURS[name]) for name in ("red", "blue"))
    assert (read_background(red), read_background(blue)) == ("red", "blue")
    asked = [("cat", "red", None), ("grapes", "red", None), ("owl", "blue", None)]
    said = ["a cat on a red background", "a dog on a red background", "an owl on a blue background"]
    verdicts = judge(asked, [red, red, red], said)
    assert [(v.concept_right, v.colour_right) for v in verdicts] == [(True, True), (False, True), (True, False)]
    assert summarise(verdicts)["concept_right"] == 2
    assert len(summarise(verdicts)["wrong"]) == 2


def test_a_sheet_holds_every_picture_over_its_label():
    pictures = [Image.new("RGB", (128, 128), colour) for colour in list(COLOURS.values())[3:8]]
    sheet = draw_sheet(pictures, ["a", "two words that do not fit", "c", "d", "e"], columns=3, side_px=64)
    found = {sheet.getpixel((x, y)) for x in range(0, sheet.width, 8) for y in range(0, sheet.height, 8)}
    assert set(list(COLOURS.values())[3:8]) <= found


def test_there_are_123_things_and_every_prompt_names_one():
    assert len(CONCEPTS) == 123
    assert {name for name, _, _ in PROMPTS} <= set(CONCEPTS)
    assert {colour for _, colour, _ in PROMPTS} == set(COLOURS)
