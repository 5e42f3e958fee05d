"""Every family with every kind of result, against diffusers and peft alone, which are the measure."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.generate.loading import load_draw_pipeline
from tests.adapters import ATTENTION, EVERYTHING, FLUX_EVERYTHING, write_adapter, write_whole
from tests.backends.generate.drawn import BASES, EDIT_BASES, config, draw, editor, plain, with_lora, with_peft, with_weights

pytestmark = pytest.mark.slow
VARIANTS = ("lora", "dora", "rslora", "loha", "lokr")


@pytest.fixture(scope="module")
def pipelines():
    """Each base model, loaded once."""
    loaded = {}

    def get(base):
        if base not in loaded:
            loaded[base] = load_draw_pipeline(base)
        return loaded[base]

    return get


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def picture(folder):
    """A picture that is not square and has transparent parts."""
    path = folder / "house.png"
    pixels = np.random.default_rng(3).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((40, 30)).resize((200, 150)).save(path)
    return path


def layers_of(base):
    return FLUX_EVERYTHING if base == "pocket-flux" else EVERYTHING


def near(a, b):
    return np.abs(a.astype(int) - b).max()


@pytest.mark.parametrize("base", BASES)
def test_the_base_draws_as_plain_diffusers_to_the_pixel_and_twice_the_same(pipelines, base):
    first = draw(pipelines(base), config(base))
    assert np.array_equal(first, plain(base))
    assert np.array_equal(draw(pipelines(base), config(base)), first)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_lora_draws_as_plain_diffusers_or_peft_to_the_pixel(pipelines, folder, base, variant):
    layers = ATTENTION if variant == "dora" else layers_of(base)
    path = write_adapter(folder / f"{base}-{variant}.safetensors", 1, base=base, variant=variant, layers=layers, text=variant == "lora")
    reference = with_peft if variant in ("loha", "lokr") else with_lora
    for scale in (1.0, 0.6):
        assert np.array_equal(draw(pipelines(base), config(base, (path, scale))), plain(base, reference(base, path, scale)))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_scale_0_is_the_base_to_the_pixel_and_scale_1_differs(pipelines, folder, base, variant):
    path = write_adapter(folder / f"{base}-{variant}-0.safetensors", 2, base=base, variant=variant)
    drawn, untouched = draw(pipelines(base), config(base, (path, 1.0))), plain(base)
    assert near(drawn, untouched) > 10
    assert np.array_equal(draw(pipelines(base), config(base, (path, 0.0))), untouched)
    assert np.array_equal(draw(pipelines(base), config(base)), untouched)
    assert np.array_equal(draw(pipelines(base), config(base, (path, 1.0))), drawn)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_swap_in_place_equals_a_fresh_load(pipelines, folder, base, variant):
    one, other = (write_adapter(folder / f"{base}-{variant}-s{i}.safetensors", 5 + i, base=base, variant=variant) for i in range(2))
    pipeline = pipelines(base)
    draw(pipeline, config(base, (one, 1.0)))
    slots = pipeline._mix._rack._slots
    places = [parameter.data_ptr() for slot in slots for parameter in slot.places.values()]
    assert places
    swapped = draw(pipeline, config(base, (other, 1.0)))
    assert [parameter.data_ptr() for slot in slots for parameter in slot.places.values()] == places
    reference = with_peft if variant in ("loha", "lokr") else with_lora
    assert np.array_equal(swapped, plain(base, reference(base, other)))


def test_different_kinds_of_lora_mix_and_come_apart_again(pipelines, folder):
    base = "pocket-sd15"
    uses = [(write_adapter(folder / f"mix-{v}.safetensors", 11, base=base, variant=v), 0.5) for v in VARIANTS]
    pipeline = pipelines(base)
    alone = [draw(pipeline, config(base, use)) for use in uses]
    together = draw(pipeline, config(base, *uses))
    assert all(near(together, one) > 3 for one in alone)
    assert np.array_equal(draw(pipeline, config(base, *uses)), together)
    assert [np.array_equal(draw(pipeline, config(base, use)), one) for use, one in zip(uses, alone, strict=True)] == [True] * 5
    assert np.array_equal(draw(pipeline, config(base)), plain(base))


@pytest.mark.parametrize("base", EDIT_BASES)
def test_a_whole_model_is_exact_at_both_ends_and_between_them_on_the_way(pipelines, folder, base):
    path = write_whole(folder / f"{base}-whole" / "unet.safetensors", 1, base=base, size=0.3)
    pipeline = pipelines(base)
    shown = {scale: draw(pipeline, config(base, (path, scale))) for scale in (1.0, 0.5, 0.0)}
    untouched, trained = plain(base), plain(base, with_weights(base, path))
    assert np.array_equal(shown[1.0], trained) and np.array_equal(shown[0.0], untouched)
    assert near(trained, untouched) > 20
    assert min(near(shown[0.5], trained), near(shown[0.5], untouched)) > 5
    assert np.array_equal(draw(pipeline, config(base)), untouched)


def test_a_lora_lies_on_top_of_a_whole_model(pipelines, folder):
    base = "pocket-sdxl"
    whole = write_whole(folder / "under" / "unet.safetensors", 2, base=base)
    lora = write_adapter(folder / "over.safetensors", 3, base=base)
    reference = with_weights(base, whole)
    reference.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="adapter_plain")
    drawn = draw(pipelines(base), config(base, (lora, 1.0), (whole, 1.0)))
    assert np.array_equal(drawn, plain(base, reference))
    assert np.array_equal(draw(pipelines(base), config(base, (lora, 1.0))), plain(base, with_lora(base, lora)))


@pytest.mark.parametrize("base", EDIT_BASES)
def test_an_edit_equals_that_of_plain_diffusers_to_the_pixel(pipelines, folder, picture, base):
    path = write_whole(folder / f"{base}-edit" / "unet.safetensors", 4, base=base, edits=True)
    settings = config(base, (path, 1.0), image=str(picture), image_guidance_scale=1.7)
    drawn = draw(pipelines(base), settings)
    assert drawn.shape[:2] == (112, 144)  # the picture's shape at the area that the model knows
    with Image.open(picture) as opened:
        scaled = opened.convert("RGB").resize((149, 112), Image.Resampling.LANCZOS).crop((2, 0, 146, 112))
    size = {"width": 144, "height": 112} if base == "pocket-sdxl" else {}
    expected = plain_edit(editor(base, path), scaled, base, **size)
    assert np.array_equal(drawn, expected)
    assert np.array_equal(draw(pipelines(base), settings), expected)
    assert np.array_equal(draw(pipelines(base), config(base)), plain(base))


def plain_edit(pipeline, image, base, **values):
    import torch

    from tests.backends.generate.drawn import PROMPT, SEED, STEPS

    options = {"num_inference_steps": STEPS, "guidance_scale": 3.0, "image_guidance_scale": 1.7, **values}
    generator = torch.Generator("cpu").manual_seed(SEED)
    return np.asarray(pipeline(PROMPT, image=image, generator=generator, **options).images[0])


def test_an_untrained_wide_model_sees_no_picture(pipelines, folder, picture):
    base = "pocket-sd15"
    path = write_whole(folder / "blind" / "unet.safetensors", 4, base=base, edits=True)
    other = folder / "other.png"
    Image.new("RGB", (200, 150), "#c81e1e").save(other)
    pipeline = pipelines(base)
    at = {
        (image, scale): draw(pipeline, config(base, (path, scale), image=str(image))) for image in (picture, other) for scale in (0.0, 1.0)
    }
    assert np.array_equal(at[picture, 0.0], at[other, 0.0])
    assert near(at[picture, 1.0], at[other, 1.0]) > 10


def test_a_lora_survives_the_change_between_words_and_edits(pipelines, folder, picture):
    base = "pocket-sd15"
    edit = write_whole(folder / "turn" / "unet.safetensors", 6, base=base, edits=True)
    lora = write_adapter(folder / "turn.safetensors", 7, base=base)
    pipeline = pipelines(base)
    words = draw(pipeline, config(base, (lora, 1.0)))
    edited = draw(pipeline, config(base, (edit, 1.0), (lora, 1.0), image=str(picture)))
    assert near(edited, draw(pipeline, config(base, (edit, 1.0), image=str(picture)))) > 3
    assert np.array_equal(draw(pipeline, config(base, (lora, 1.0))), words)


@pytest.mark.parametrize("base", BASES)
def test_a_prompt_that_is_too_long_says_what_is_not_read(pipelines, base):
    sentences = pipelines(base).check_lengths(["a cat", "a cat on a blue background " * 4 + "and one last ghost"])
    assert len(sentences) == 1 and "ghost" in sentences[0]
    limit = 23 if base == "pocket-flux" else 22
    assert f"reads the first {limit}" in sentences[0]


def test_what_to_leave_out_means_nothing_to_a_model_that_draws_with_the_words_only(pipelines):
    flux, plain_words = pipelines("pocket-flux"), config("pocket-flux")
    told = config("pocket-flux", negative_prompt="blue")
    assert "is not read" in flux.check_negative([told])[0] and not flux.check_negative([plain_words])
    assert np.array_equal(draw(flux, told), draw(flux, plain_words))
    sd15 = pipelines("pocket-sd15")
    assert not sd15.check_negative([config("pocket-sd15", negative_prompt="blue")])
    assert "above 1" in sd15.check_negative([config("pocket-sd15", negative_prompt="blue", guidance_scale=1)])[0]
    assert near(draw(sd15, config("pocket-sd15", negative_prompt="a red dog")), draw(sd15, config("pocket-sd15"))) > 5


def refuse(pipeline, settings, words):
    with pytest.raises(DarkroomError, match=words):
        pipeline.check(settings)


def test_results_of_other_models_are_refused_with_the_way_out_before_anything_is_drawn(pipelines, folder):
    sd15 = pipelines("pocket-sd15")
    sdxl_lora = write_adapter(folder / "zog-xl.safetensors", 1, base="pocket-sdxl")
    refuse(
        sd15, config("pocket-sd15", (sdxl_lora, 1.0)), "“zog-xl.safetensors” was made for Pocket; it does not fit Pocket 1.5. Choose a LoRA"
    )
    flux_loha = write_adapter(folder / "zog-flux.safetensors", 1, base="pocket-flux", variant="loha")
    refuse(sd15, config("pocket-sd15", (flux_loha, 1.0)), "was made for Pocket Flux; it does not fit Pocket 1.5")
    refuse(pipelines("pocket-flux"), config("pocket-flux", (sdxl_lora, 1.0)), "was made for Pocket; it does not fit Pocket Flux")
    whole = write_whole(folder / "foreign" / "unet.safetensors", 1, base="pocket-sdxl")
    refuse(sd15, config("pocket-sd15", (whole, 1.0)), "all weights of a model made from Pocket; .*Choose Pocket as the base model, or")
    own = write_whole(folder / "own" / "unet.safetensors", 1, base="pocket-sd15")
    refuse(sd15, config("pocket-sd15", (own, 1.25)), "The weight of “unet.safetensors” is 1.25; .* from 0, the base model, to 1")
    refuse(sd15, config("pocket-sd15", (own, 1.0), (own, 0.5)), "only one of them can stand in the base model's place")
    assert np.array_equal(draw(sd15, config("pocket-sd15")), plain("pocket-sd15"))


def test_a_picture_needs_a_model_that_edits_and_such_a_model_a_picture(pipelines, folder, picture):
    base = "pocket-sdxl"
    edit = write_whole(folder / "needs" / "unet.safetensors", 1, base=base, edits=True)
    refuse(pipelines(base), config(base, image=str(picture)), "Pocket by itself does not edit pictures")
    refuse(pipelines(base), config(base, (edit, 1.0)), "This model edits pictures. Choose a picture")
    with pytest.raises(DarkroomError, match="The picture to edit is not there any more"):
        draw(pipelines(base), config(base, (edit, 1.0), image=str(folder / "gone.png")))


def test_a_whole_model_with_broken_numbers_leaves_the_base_as_it_was(pipelines, folder):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    base, path = "pocket-sd15", folder / "broken" / "unet.safetensors"
    write_whole(path, 1, base=base)
    with safe_open(str(path), "pt") as file:
        notes = file.metadata()
    state = load_file(path)
    state["conv_out.bias"][0] = float("inf")
    save_file(state, path, notes)
    with pytest.raises(DarkroomError, match="not finite"):
        draw(pipelines(base), config(base, (path, 1.0)))
    assert np.array_equal(draw(pipelines(base), config(base)), plain(base))
