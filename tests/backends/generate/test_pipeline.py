"""Drawing with LoRAs against plain diffusers, which is the measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig
from backends.contract.drawing import SAMPLERS
from backends.contract.errors import DarkroomError
from backends.engine.export import export_adapter
from backends.generate.loading import load_draw_pipeline
from tests.adapters import EVERYTHING, load_pocket, write_adapter

PROMPT = "a cat on a blue background"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pocket():
    return load_draw_pipeline("pocket-sdxl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("adapters")


def config(*loras, **values) -> DrawConfig:
    uses = [{"path": str(path), "weight": weight} for path, weight in loras]
    return parse_config(DrawConfig, {"prompt": PROMPT, "num_inference_steps": 4, "seed": 7, **values, "loras": uses})


def draw(pipeline, settings, prompts=(PROMPT,)):
    configs = [settings.model_copy(update={"prompt": prompt}) for prompt in prompts]
    return [np.asarray(p) for p in pipeline.draw(configs, lambda done: None)]


def plain(path=None, scale=1.0, prompt=PROMPT, **values):
    """The same picture by diffusers alone, as anybody would write it."""
    pipeline = load_pocket()
    if path:
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="adapter_plain")
        pipeline.set_adapters(["adapter_plain"], [scale])
    options = {"num_inference_steps": 4, "guidance_scale": 3.0, "width": 128, "height": 128, **values}
    picture = pipeline(prompt, generator=torch.Generator("cpu").manual_seed(7), **options).images[0]
    return np.asarray(picture), pipeline


def count_loaded(pipeline) -> int:
    modules = (pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2)
    return sum(".adapter_plain." in name for module in modules for name, _ in module.named_parameters())


@pytest.mark.parametrize("text", [False, True], ids=["unet", "unet and text encoders"])
def test_a_picture_equals_that_of_plain_diffusers_to_the_pixel(pocket, folder, text):
    path = write_adapter(folder / f"plain_{text}.safetensors", 1, layers=EVERYTHING, text=text)
    expected, pipeline = plain(path, scale=0.8)
    with __import__("safetensors").safe_open(str(path), "pt") as file:
        assert count_loaded(pipeline) == len(list(file.keys()))
    assert np.array_equal(draw(pocket, config((path, 0.8)))[0], expected)


@pytest.mark.parametrize("text", [False, True], ids=["unet", "unet and text encoders"])
def test_the_kohya_export_draws_the_same_picture_in_plain_diffusers_and_here(pocket, folder, text):
    path = write_adapter(folder / f"own_{text}.safetensors", 2, layers=EVERYTHING, text=text)
    exported = folder / f"kohya_{text}.safetensors"
    export_adapter(path, exported, "kohya")
    (ours, saved), (theirs, loaded) = plain(path), plain(exported)
    assert count_loaded(loaded) == count_loaded(saved) > 0
    assert np.array_equal(ours, theirs)
    assert np.array_equal(draw(pocket, config((exported, 1.0)))[0], ours)


def test_without_a_lora_the_picture_is_that_of_the_base(pocket):
    assert np.array_equal(draw(pocket, config())[0], plain()[0])


def test_weight_0_is_the_base_to_the_pixel_also_after_others_were_loaded(pocket, folder):
    path = write_adapter(folder / "zero.safetensors", 3, text=True)
    base = draw(pocket, config())[0]
    changed = draw(pocket, config((path, 1.0)))[0]
    assert np.abs(changed.astype(int) - base).max() > 20
    assert np.array_equal(draw(pocket, config((path, 0.0)))[0], base)
    assert np.array_equal(draw(pocket, config((path, 1.0)))[0], changed)


def test_a_swap_in_place_equals_a_fresh_load(pocket, folder):
    first, second = (write_adapter(folder / f"swap{i}.safetensors", 10 + i) for i in range(2))
    draw(pocket, config((first, 1.0)))
    slots = {id(slot): list(slot.places.values())[0].data_ptr() for slot in pocket._mix._rack._slots}
    swapped = draw(pocket, config((second, 1.0)))[0]
    assert slots == {id(slot): list(slot.places.values())[0].data_ptr() for slot in pocket._mix._rack._slots}
    assert np.array_equal(swapped, plain(second)[0])


def test_text_encoder_swaps_change_the_prompt_embeddings_too(pocket, folder):
    first, second = (write_adapter(folder / f"text{i}.safetensors", 20 + i, text=True) for i in range(2))
    draw(pocket, config((first, 1.0)))
    assert np.array_equal(draw(pocket, config((second, 1.0)))[0], plain(second)[0])
    assert np.array_equal(draw(pocket, config((second, 0.5)))[0], plain(second, scale=0.5)[0])


def test_two_loras_mix_as_set_adapters_mixes_them(pocket, folder):
    first, second = write_adapter(folder / "m1.safetensors", 30), write_adapter(folder / "m2.safetensors", 31, rank=2, layers=EVERYTHING)
    pipeline = load_pocket()
    for name, path in (("style_one", first), ("style_two", second)):
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)
    pipeline.set_adapters(["style_one", "style_two"], [0.7, -0.3])
    options = {"num_inference_steps": 4, "guidance_scale": 3.0, "generator": torch.Generator("cpu").manual_seed(7)}
    expected = np.asarray(pipeline(PROMPT, **options, width=128, height=128).images[0])
    assert np.array_equal(draw(pocket, config((first, 0.7), (second, -0.3)))[0], expected)
    twice = draw(pocket, config((first, 0.5), (first, 0.5)))[0]
    assert np.abs(twice.astype(int) - draw(pocket, config((first, 1.0)))[0]).max() <= 1


def test_a_lora_that_was_trained_with_dropout_draws_without_it(pocket, folder):
    import json

    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = write_adapter(folder / "kept.safetensors", 8, rank=5)
    metadata = safe_open(str(path), "pt").metadata()
    settings = json.loads(metadata["lora_adapter_metadata"]) | {"unet.lora_dropout": 0.5}
    dropping = folder / "dropping.safetensors"
    save_file(load_file(path), dropping, metadata | {"lora_adapter_metadata": json.dumps(settings)})
    assert np.array_equal(draw(pocket, config((dropping, 1.0)))[0], plain(path)[0])
    exported = folder / "exported.safetensors"
    export_adapter(dropping, exported, "diffusers")
    assert np.array_equal(plain(exported)[0], plain(path)[0])


def test_the_same_request_gives_the_same_pixels(pocket, folder):
    path = write_adapter(folder / "same.safetensors", 4)
    prompts = [PROMPT, "a red apple", "a dog on a green background"]
    first = draw(pocket, config((path, 1.0)), prompts)
    draw(pocket, config())
    again = draw(pocket, config((path, 1.0)), prompts)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert np.array_equal(draw(pocket, config((path, 1.0)), prompts[::-1])[2], first[0])


def test_a_picture_of_a_batch_differs_from_one_drawn_alone_by_no_more_than_2_of_255(pocket, folder):
    path = write_adapter(folder / "alone.safetensors", 5)
    prompts = [PROMPT, "a red apple", "a dog on a green background", "zog on a pink background"]
    batch = draw(pocket, config((path, 1.0), num_inference_steps=20), prompts)
    for prompt, picture in zip(prompts, batch, strict=True):
        alone = draw(pocket, config((path, 1.0), num_inference_steps=20), [prompt])[0]
        assert np.abs(alone.astype(int) - picture).max() <= 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_and_repeats_itself(pocket, sampler):
    first = draw(pocket, config(sampler=sampler, num_inference_steps=8))[0]
    assert first.std() > 10
    assert np.array_equal(draw(pocket, config(sampler=sampler, num_inference_steps=8))[0], first)


def test_without_guidance_and_with_another_size_it_draws(pocket):
    assert draw(pocket, config(guidance_scale=0, width=192, height=96))[0].shape == (96, 192, 3)


def test_a_lora_of_another_model_is_named_as_such(pocket, folder):
    from safetensors.torch import save_file

    flux = folder / "flux.safetensors"
    module = "transformer.single_transformer_blocks.0.attn.to_q"
    save_file({f"{module}.lora_A.weight": torch.ones(4, 64), f"{module}.lora_B.weight": torch.ones(64, 4)}, flux)
    with pytest.raises(DarkroomError, match="“flux.safetensors” was made for Flux.*does not fit Pocket"):
        draw(pocket, config((flux, 1.0)))
    sdxl, module = folder / "sdxl.safetensors", "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    save_file({f"{module}.lora_A.weight": torch.ones(4, 2048), f"{module}.lora_B.weight": torch.ones(640, 4)}, sdxl)
    with pytest.raises(DarkroomError, match="was made for SDXL; it does not fit Pocket"):
        draw(pocket, config((sdxl, 1.0)))
    strange = folder / "strange.safetensors"
    save_file({"some.weight": torch.ones(4, 4)}, strange)
    with pytest.raises(DarkroomError, match="does not fit Pocket"):
        draw(pocket, config((strange, 1.0)))
    assert np.array_equal(draw(pocket, config())[0], plain()[0])


def test_a_lora_with_infinite_numbers_is_refused_whether_loaded_or_copied(pocket, folder):
    from safetensors.torch import load_file, save_file

    good = write_adapter(folder / "good.safetensors", 6)
    state = load_file(good)
    key = sorted(state)[5]
    state[key][0, 0] = float("nan")
    bad = folder / "bad.safetensors"
    metadata = __import__("safetensors").safe_open(str(good), "pt").metadata()
    save_file(state, bad, metadata)
    fresh = write_adapter(folder / "other_rank.safetensors", 6, rank=3)
    draw(pocket, config((fresh, 1.0)))
    with pytest.raises(DarkroomError, match="not finite"):
        draw(pocket, config((bad, 1.0)))
    expected = draw(pocket, config((good, 1.0)))[0]
    with pytest.raises(DarkroomError, match="not finite"):
        draw(pocket, config((bad, 1.0)))
    assert np.array_equal(draw(pocket, config((good, 1.0)))[0], expected)


def test_a_file_that_changed_under_its_name_is_read_again(pocket, folder):
    path = write_adapter(folder / "moving.safetensors", 40)
    before = draw(pocket, config((path, 1.0)))[0]
    write_adapter(path, 41)
    after = draw(pocket, config((path, 1.0)))[0]
    assert not np.array_equal(before, after)
    assert np.array_equal(after, plain(path)[0])


def test_a_prompt_that_is_too_long_says_what_is_not_read(pocket):
    sentences = pocket.check_lengths(["a cat", "a cat on a blue background " * 4 + "and one last ghost"])
    assert len(sentences) == 1
    assert "reads the first 22" in sentences[0] and "ghost" in sentences[0]


def test_only_one_base_model_family_is_drawn_with(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(DarkroomError, match="FluxPipeline"):
        load_draw_pipeline(str(tmp_path))


def test_a_base_model_that_cannot_be_reached_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DarkroomError, match="not on this machine"):
        load_draw_pipeline("nobody/never-published")
