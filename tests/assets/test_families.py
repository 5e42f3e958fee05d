"""The two smaller families are built on the base, on a tiny budget: from its latents to finished folders."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from itertools import count
from statistics import mean

import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel, StableDiffusionPipeline, StableDiffusionXLPipeline

from assets.build import distil, flux, sd15
from assets.build.concepts import FAMILY_THINGS, PROMPTS
from assets.build.evaluate import MODELS, guide, load_base, paint
from assets.build.latents import load_latents
from assets.build.settings import FluxSettings
from assets.build.stages import FAMILIES, VAE_WEIGHTS, install, make_flux, make_sd15, make_things, take_shipped
from assets.build.tokenizer import build_t5_tokenizer
from tests.assets.conftest import tiny_settings

pytestmark = pytest.mark.slow


def fell(losses: list[float], least: float) -> bool:
    """Whether the last quarter of the losses is below `least` times the first quarter."""
    part = len(losses) // 4
    return mean(losses[-part:]) < least * mean(losses[:part])


@pytest.fixture(scope="module")
def things(families):
    return load_latents(families.work / "things")


@pytest.fixture(scope="module")
def teacher(families):
    """The plain Flux, as its stage left it."""
    return flux.train_flux(families, load_latents(families.work / "things"), families.out / "pocket-sdxl", families.work / "flux").module


def test_the_families_know_50_things_and_every_judged_one():
    assert len(set(FAMILY_THINGS)) == 50
    assert {name for name, _, _ in PROMPTS} <= set(FAMILY_THINGS)


def test_the_families_latents_are_those_of_the_bases_own_vae(families, things, built):
    drawn = {name for _, name in built.drawings.of("flat", "noto")}
    assert {name for _, name, _ in things.subjects} == drawn & set(FAMILY_THINGS) != drawn
    assert things.values.float().std() == pytest.approx(1, abs=0.1)


def test_sd15_begins_with_what_the_base_knows(families):
    base = StableDiffusionXLPipeline.from_pretrained(families.out / "pocket-sdxl", dtype=torch.float32)
    model = sd15.Sd15(families.out / "pocket-sdxl")
    assert torch.equal(model.unet.conv_in.weight, base.unet.conv_in.weight)
    width = model.text_encoder.config.hidden_size
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    assert torch.equal(model.unet.get_parameter(name), base.unet.get_parameter(name)[:, -width:])
    with torch.no_grad():
        ids = model.tokenize(["a cat on a red background"])
        own, theirs = model.text_encoder(ids).last_hidden_state, base.text_encoder_2(ids, output_hidden_states=True).hidden_states[-2]
    assert torch.nn.functional.cosine_similarity(own, theirs, dim=-1).mean() > 0.9
    assert float(own.std()) == pytest.approx(float(theirs.std()), rel=0.3)


def test_each_net_learns(families, things, teacher, tmp_path):
    source = families.out / "pocket-sdxl"
    assert fell(flux.train_flux(families, things, source, tmp_path / "flux").losses, 0.8)
    assert fell(distil.train_guidance(families, things, copy.deepcopy(teacher), tmp_path / "distil").losses, 0.8)
    assert fell(sd15.train_sd15(families, things, source, tmp_path / "sd15").losses, 0.97)


@pytest.mark.parametrize("stage", ["sd15", "flux", "distil"])
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(families, things, teacher, stage, tmp_path, monkeypatch):
    tiny = tiny_settings(tmp_path)
    short = replace(tiny, save_every=4, sd15=replace(tiny.sd15, steps=8), flux=replace(tiny.flux, steps=8, distil_steps=8))
    source = families.out / "pocket-sdxl"
    module, function, run = {
        "sd15": (sd15, "draw_timesteps", lambda to: sd15.train_sd15(short, things, source, to)),
        "flux": (flux, "draw_sigmas", lambda to: flux.train_flux(short, things, source, to)),
        "distil": (distil, "draw_scales", lambda to: distil.train_guidance(short, things, copy.deepcopy(teacher), to)),
    }[stage]
    uninterrupted = run(tmp_path / "whole")
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


def test_the_student_starts_as_its_teacher_at_any_guidance(teacher):
    student = distil.build_student(teacher.transformer)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(3, 64, student.config.in_channels, generator=generator)
    sigmas, scales = flux.draw_sigmas(3, generator), distil.draw_scales(3, 5, generator)
    with torch.no_grad():
        text = teacher.encode(["a cat", "a robot", ""])
        before, after = flux.predict(teacher.transformer, tokens, sigmas, text, None), flux.predict(student, tokens, sigmas, text, scales)
    assert torch.equal(before, after)


def test_the_target_is_classifier_free_guidance_and_at_scale_1_the_teacher_itself(teacher):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(2, 64, teacher.transformer.config.in_channels, generator=generator)
    sigmas = torch.tensor([0.3, 0.9])
    text, target = distil.teach(teacher, tokens, sigmas, ["a cat", "a robot"], torch.tensor([1.0, 3.0]))
    with torch.no_grad():
        asked = flux.predict(teacher.transformer, tokens, sigmas, text, None)
        unasked = flux.predict(teacher.transformer, tokens, sigmas, teacher.encode(["", ""]), None)
    assert torch.allclose(target[0], asked[0], atol=1e-5)
    assert torch.allclose(target[1], 3 * asked[1] - 2 * unasked[1], atol=1e-5)


def test_flux_sees_the_noise_level_unrounded_under_autocast(teacher):
    bare = FluxTransformer2DModel.from_config(teacher.transformer.config)
    bare.load_state_dict(teacher.transformer.state_dict())
    tokens = torch.randn(1, 64, bare.config.in_channels, generator=torch.Generator().manual_seed(1))
    seen = {}
    for name, net in (("bare", bare), ("whole", teacher.transformer)):
        handle = net.time_text_embed.register_forward_pre_hook(lambda _m, given, name=name: seen.update({name: given[0].clone()}))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            flux.predict(net, tokens, torch.tensor([0.7314]), teacher.encode(["a cat"]), None)
        handle.remove()
    assert seen["whole"].item() == pytest.approx(731.4, abs=0.01)
    assert abs(seen["bare"].item() - 731.4) > 0.5


def test_noise_levels_cover_the_whole_way_and_crowd_in_the_middle():
    sigmas = flux.draw_sigmas(4000, torch.Generator().manual_seed(0))
    assert 0 < sigmas.min() < 0.01 and 0.99 < sigmas.max() <= 1
    assert ((sigmas > 0.25) & (sigmas < 0.75)).float().mean() > 0.55


def test_the_loss_is_that_of_the_straight_way_from_picture_to_noise(teacher, things):
    tokens = flux.pack(things.values[:2].float())
    noise = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = flux.compute_flow_loss(teacher, tokens, ["a cat", ""], noise, torch.tensor([1e-3, 1.0]))
    nearly_clean = flux.add_noise(tokens, noise, torch.tensor([0.0, 1.0]))
    assert torch.equal(nearly_clean[0], tokens[0]) and torch.equal(nearly_clean[1], noise[1])
    assert 0.2 < found.item() < 3


def test_the_finished_folders_load_in_plain_diffusers_and_paint(families):
    prompts = ["a cat on a red background", "a robot"]
    for name, pipeline in (("pocket-sd15", StableDiffusionPipeline), ("pocket-flux", FluxPipeline)):
        pipeline.from_pretrained(families.out / name)
        assert [p.size for p in paint(load_base(families.out / name), prompts, steps=2)] == [(128, 128)] * 2


def test_flux_is_guided_by_its_own_input_and_the_plain_one_by_two_passes(families):
    guided, plain = load_base(families.out / "pocket-flux"), load_base(families.work / "flux" / "plain")
    assert guided.transformer.config.guidance_embeds and not plain.transformer.config.guidance_embeds
    assert guide(guided, 1)["guidance_scale"] == 3.5 and "true_cfg_scale" not in guide(guided, 1)
    assert guide(plain, 1)["true_cfg_scale"] == 3.0
    assert paint(plain, ["a cat"], steps=2)[0].size == (128, 128)


def test_the_families_share_the_bases_vae_by_a_link_that_survives_installing(families, tmp_path):
    for name in FAMILIES:
        weights = families.out / name / VAE_WEIGHTS
        assert weights.is_symlink() and weights.resolve() == (families.out / "pocket-sdxl" / VAE_WEIGHTS).resolve()
        assert not (families.out / name / VAE_WEIGHTS).readlink().is_absolute()
    shutil.copytree(families.out / "pocket-sdxl", tmp_path / "pocket-sdxl")
    install(families, tmp_path, ["pocket-flux"])
    assert (tmp_path / "pocket-flux" / VAE_WEIGHTS).resolve() == (tmp_path / "pocket-sdxl" / VAE_WEIGHTS).resolve()
    (tmp_path / "pocket-sdxl" / VAE_WEIGHTS).write_bytes(b"another")
    with pytest.raises(ValueError, match="Install all of them together"):
        install(families, tmp_path, ["pocket-sd15"])


def test_a_family_stage_whose_result_is_there_is_skipped(families):
    files = [f for folder in (families.work, families.out) for f in folder.rglob("*") if f.is_file()]
    before = {f: f.stat().st_mtime_ns for f in files}
    for stage in (make_things, make_sd15, make_flux):
        stage(families)
    assert {f: f.stat().st_mtime_ns for f in files} == before


def test_the_families_can_be_built_on_the_shipped_base(tmp_path):
    settings = tiny_settings(tmp_path)
    take_shipped(settings)
    assert sorted(p.name for p in settings.out.iterdir()) == ["pocket-blip", "pocket-sdxl"]
    wide = replace(settings.flux, t5_width=64, heads=2)
    assert flux.Flux(settings.out / "pocket-sdxl", wide).transformer.config.in_channels == 32


def test_the_sizes_given_in_the_settings_are_those_of_the_shipped_flux():
    own = FluxSettings()
    config = load_base(MODELS / "pocket-flux").transformer.config
    assert (config.num_attention_heads, config.attention_head_dim) == (own.heads, sum(own.rope_axes))
    assert (config.num_layers, config.num_single_layers) == (own.double_layers, own.single_layers)


def test_t5s_vocabulary_is_the_same_every_time_and_reads_any_text():
    tokenizer = build_t5_tokenizer()
    assert tokenizer.get_vocab() == build_t5_tokenizer().get_vocab()
    ids = tokenizer("zog on a red background").input_ids
    assert len(ids) == 6 and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in tokenizer("Xylophone-42!").input_ids
