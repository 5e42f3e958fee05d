"""What each family asks its network equals what plain diffusers asks it: the same step of the same pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image

from backends.contract.buckets import Bucket, compute_placement
from backends.families.flux import number_patches, pack, unpack
from backends.families.protocol import EXTRA_CHANNELS
from tests.backends.loaded import load
from tests.backends.methods import reference

PLAIN = {"sd15": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline, "flux": FluxPipeline}
PROMPT, WIDTH, HEIGHT = "zog on a red background", 96, 64


def watch(module: torch.nn.Module) -> list[tuple[tuple[Any, ...], dict[str, Any], torch.Tensor]]:
    """Everything that is asked of a network from now on, and its answers."""
    seen: list[Any] = []
    module.register_forward_hook(lambda m, args, kwargs, out: seen.append((args, kwargs, out[0])), with_kwargs=True)
    return seen


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_unets_step_is_that_of_the_plain_pipeline(toy_base, name):
    pipeline = PLAIN[name].from_pretrained(toy_base(name))
    seen = watch(pipeline.unet)
    pipeline(PROMPT, guidance_scale=1.0, num_inference_steps=2, width=WIDTH, height=HEIGHT)
    family = load(f"{name}/text_to_image", toy_base(name)).family
    placement = compute_placement(WIDTH, HEIGHT, Bucket(WIDTH, HEIGHT))
    sizes = {n: t[None] for n, t in family.picture_conditions(WIDTH, HEIGHT, placement, False).items()}
    assert len(seen) == 2
    for (noisy, t, *_), told, wanted in seen:
        conditions = {**family.encode_prompts([PROMPT]), **sizes}
        assert torch.equal(told["encoder_hidden_states"], conditions["prompt_embeds"])
        with torch.no_grad():
            assert torch.equal(family.predict(noisy, t[None], conditions), wanted)


def test_fluxs_step_is_that_of_the_plain_pipeline(toy_base):
    pipeline = FluxPipeline.from_pretrained(toy_base("flux"))
    seen = watch(pipeline.transformer)
    pipeline(PROMPT, guidance_scale=2.5, num_inference_steps=2, width=WIDTH, height=HEIGHT, max_sequence_length=24)
    family = load("flux/text_to_image", toy_base("flux"), guidance_scale=2.5).family
    for _, told, wanted in seen:
        latents = unpack(told["hidden_states"], 4, HEIGHT // 8, WIDTH // 8)
        with torch.no_grad():
            found = family.predict(latents, told["timestep"] * 1000, family.encode_prompts([PROMPT]))
        torch.testing.assert_close(pack(found), wanted, rtol=0, atol=1e-6)
        assert torch.equal(number_patches(HEIGHT // 16, WIDTH // 16, latents.device), told["img_ids"])


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_an_edits_step_is_that_of_the_plain_pipeline_with_all_three_askings(toy_base, name):
    """Words and picture, picture alone, nothing: what dropping teaches is what guidance asks for."""
    loaded = load(f"{name}/instruct_pix2pix", toy_base(name))
    family = loaded.family
    torch.nn.init.normal_(family.unet.conv_in.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    editor = family.build_editor()
    sized = {"width": WIDTH, "height": HEIGHT} if name == "sdxl" else {}
    seen = watch(family.unet)
    before = Image.fromarray(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    editor(PROMPT, image=before, **sized, guidance_scale=4.0, image_guidance_scale=1.5, num_inference_steps=2)
    pixels = torch.from_numpy(np.asarray(before, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    mean, _ = family.encode_pictures(pixels)
    placement = compute_placement(WIDTH, HEIGHT, Bucket(WIDTH, HEIGHT))
    sizes = {n: t.expand(3, -1) for n, t in family.picture_conditions(WIDTH, HEIGHT, placement, False).items()}
    conditions = {**family.encode_prompts([PROMPT, "", ""]), **sizes, EXTRA_CHANNELS: torch.cat([mean, mean, torch.zeros_like(mean)])}
    assert len(seen) == 2
    for asked, _, wanted in list(seen):
        with torch.no_grad():
            found = family.predict(asked[0][:, :4], asked[1].expand(3), conditions)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_patches_are_laid_out_as_flux_counts_them():
    latents = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    expected = reference.pack_patches(latents.double().numpy())
    np.testing.assert_array_equal(pack(latents).double().numpy(), expected)
    assert torch.equal(unpack(pack(latents), 4, 6, 8), latents)
    np.testing.assert_array_equal(number_patches(3, 4, latents.device).numpy(), reference.place_patches(6, 8))
    # a second witness
    assert torch.equal(pack(latents), FluxPipeline._pack_latents(latents, 2, 4, 6, 8))


@pytest.mark.parametrize("name", ["sd15", "sdxl", "flux"])
def test_an_empty_caption_with_trained_text_encoders_is_told_as_without(toy_base, name):
    family = load(f"{name}/text_to_image", toy_base(name)).family
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    placement = compute_placement(64, 64, Bucket(64, 64))
    sizes = {n: t.expand(2, -1) for n, t in family.picture_conditions(64, 64, placement, False).items()}
    with torch.no_grad():
        told, tokens = ({**words(["", PROMPT]), **sizes} for words in (family.encode_prompts, family.tokenize))
        torch.testing.assert_close(
            family.predict(noisy, torch.tensor([9, 500]), tokens), family.predict(noisy, torch.tensor([9, 500]), told)
        )
