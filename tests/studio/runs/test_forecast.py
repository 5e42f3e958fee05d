"""The forecast counts as the trainer counts, and says what does not fit and the way out."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter

import pytest

from backends.contract.base_models import MODELS
from backends.contract.config import parse_config
from backends.contract.methods.text_to_image import FullTextToImageConfig, TextToImageConfig
from backends.contract.quantized import compute_saved_gb
from backends.contract.settings.lora import UNET_LORA_LAYERS
from backends.registry import find_backend
from studio.runs.cost import COSTS, compute_memory_parts
from studio.runs.forecast import compute_forecast
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.presets import find_preset

SMALL = describe_hardware([], cpu_cores=2, memory_gb=8.0)
RTX_3060 = describe_hardware([Gpu("GeForce RTX 3060", 12.9, 12.0)], cpu_cores=8, memory_gb=32.0)
RTX_4090 = describe_hardware([Gpu("GeForce RTX 4090", 25.7, 25.0)], cpu_cores=16, memory_gb=64.0)


def pocket(**values):
    return TextToImageConfig(**{"resolution": 128, "max_train_steps": 300, "train_batch_size": 4, **values})


def sdxl(**values):
    start = {"pretrained_model_name_or_path": "sdxl", "max_train_steps": 500, "train_batch_size": 1, "gradient_checkpointing": True}
    return TextToImageConfig(**{**start, **values})


def test_pictures_steps_and_passes():
    forecast = compute_forecast(pocket(), 12, SMALL, 50e9)
    assert (forecast.num_training, forecast.num_held_out, forecast.steps) == (11, 1, 300)
    assert forecast.passes == pytest.approx(300 * 4 / 11, abs=0.1)


def test_without_steps_the_passes_decide():
    config = pocket(max_train_steps=None, num_train_epochs=10, gradient_accumulation_steps=2)
    assert compute_forecast(config, 12, SMALL, 50e9).steps == 14  # 110 pictures, 8 a step


def test_at_most_so_many_pictures_are_counted():
    assert compute_forecast(pocket(max_train_samples=5), 12, SMALL, 50e9).num_training == 5


@pytest.mark.parametrize(("pictures", "share", "held_out"), [(1, 0.1, 0), (2, 0.1, 1), (12, 0.1, 1), (30, 0.1, 3), (10, 0.5, 5), (9, 0, 0)])
def test_one_in_ten_is_held_out_at_least_one_and_never_the_last(pictures, share, held_out):
    assert compute_forecast(pocket(held_out_share=share), pictures, SMALL, 50e9).num_held_out == held_out


@pytest.mark.parametrize("layers", UNET_LORA_LAYERS)
def test_the_lora_size_of_pocket_is_counted_from_its_own_weights(layers):
    shapes = read_shapes(MODELS / "pocket-sdxl" / "unet" / "diffusion_pytorch_model.safetensors")
    counted = 0
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and any(module.endswith("." + t) for t in UNET_LORA_LAYERS[layers]):
            outside, inside, *kernel = shape
            area = kernel[0] * kernel[1] if kernel else 1
            counted += inside * area + outside
    assert COSTS["pocket-sdxl"].lora_parameters[layers] == counted


def read_shapes(path):
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return {k: v["shape"] for k, v in json.loads(file.read(length)).items() if k != "__metadata__"}


def test_sdxl_without_a_gpu_is_refused_with_a_way_out():
    problem = compute_forecast(sdxl(), 12, SMALL, 50e9).problem
    assert "SDXL 1.0 needs a GPU with 12 GB or more; here there is none. Choose Pocket" in problem


def test_too_little_gpu_memory_names_the_levers_that_are_left():
    problem = compute_forecast(sdxl(train_batch_size=8, gradient_checkpointing=False, rank=64), 12, RTX_3060, 50e9).problem
    assert "RTX 3060 has 12.9 GB" in problem
    assert "Set the batch size to 1 with accumulation 8" in problem
    assert "Save memory" in problem
    assert compute_forecast(sdxl(rank=16), 12, RTX_3060, 50e9).problem == ""


def test_more_of_anything_that_costs_memory_needs_more_memory():
    def need(**values):
        return compute_forecast(sdxl(**values), 12, RTX_4090, 50e9).memory_need_gb

    base = need(train_batch_size=2)
    assert need(train_batch_size=4) > base
    assert need(train_batch_size=2, gradient_checkpointing=False) > base
    assert need(train_batch_size=2, rank=128) > base
    assert need(train_batch_size=2, mixed_precision="no") > base
    assert need(train_batch_size=2, train_text_encoder=True) > base
    assert need(train_batch_size=2, cache_latents=False) > base


def test_the_memory_bar_adds_up():
    forecast = compute_forecast(sdxl(), 12, RTX_4090, 50e9)
    assert sum(size for _, size in forecast.memory_parts) == pytest.approx(forecast.memory_need_gb, abs=0.1)


@pytest.mark.parametrize("choice", ["int8", "nf4"])
def test_a_base_stored_small_needs_as_much_less_as_its_linear_layers_are_smaller(choice):
    whole, small = (compute_forecast(sdxl(mixed_precision="bf16", quantize_base=c), 12, RTX_4090, 50e9) for c in ("none", choice))
    assert whole.memory_need_gb - small.memory_need_gb == pytest.approx(compute_saved_gb("sdxl", choice), abs=0.1)
    pockets = [compute_forecast(pocket(quantize_base=c), 12, RTX_4090, 50e9).memory_need_gb for c in ("none", choice)]
    assert 0 <= pockets[0] - pockets[1] < 0.1


def test_a_small_disk_is_noticed_before_the_start():
    config = sdxl(checkpointing_steps=10, rank=64)
    assert "GB of disk" in compute_forecast(config, 12, RTX_4090, 5e9).problem
    assert compute_forecast(sdxl(checkpointing_steps=10, rank=64, checkpoints_total_limit=2), 12, RTX_4090, 8e9).problem == ""


def test_an_estimate_says_that_it_is_one_and_a_measured_speed_that_it_was_measured():
    guessed, measured = (compute_forecast(pocket(), 12, SMALL, 50e9, measured_step_s=s) for s in (None, 2.0))
    assert "estimate" in guessed.basis
    assert "Measured" in measured.basis
    assert measured.seconds > 600


def divided(pieces, **values):
    """Parts by name, of all weights of SDXL in bf16."""
    start = {"pretrained_model_name_or_path": "sdxl", "mixed_precision": "bf16", "train_batch_size": 1, "sample_every": 0}
    config = FullTextToImageConfig(gradient_checkpointing=True, **{**start, "num_processes": max(2, pieces), **values})
    return dict(compute_memory_parts(config, RTX_4090, pieces))


def test_divided_weights_take_their_share_on_each_gpu_and_some_blocks_are_whole_meanwhile():
    whole, four = divided(1), divided(4)
    vae = COSTS["sdxl"].vae_gb
    assert four["Model"] - vae == pytest.approx((whole["Model"] - vae) / 4)
    assert four["Gradients and optimizer"] == pytest.approx(whole["Gradients and optimizer"] / 4)
    assert four["Whole blocks"] == pytest.approx(152_492_804 * 8 / 1e9)  # bf16 weights and gradients, float32 on their way
    assert four["Pictures in work"] == whole["Pictures in work"]
    assert sum(four.values()) < sum(whole.values()) / 2.5


def test_to_draw_samples_all_of_it_is_whole_on_each_gpu_when_there_are_no_gradients():
    drawing = divided(8, sample_every=100, sample_prompts=["a fox"])
    assert drawing["Whole model, to draw samples"] == pytest.approx(2_567_463_684 * (2 - 4 / 8) / 1e9)
    assert sum(drawing.values()) > sum(divided(8).values())


def test_what_is_whole_of_a_divided_model_is_counted_from_its_own_weights():
    """In no block of diffusers', and the two largest blocks."""
    for key in ("pocket-sdxl", "pocket-sd15"):
        shapes = read_shapes(MODELS / key / "unet" / "diffusion_pytorch_model.safetensors")
        blocks, rest = Counter(), 0
        for name, shape in shapes.items():
            found = re.match(r"(.*(resnets|transformer_blocks)\.\d+)\.", name)
            if found:
                blocks[found[1]] += math.prod(shape)
            else:
                rest += math.prod(shape)
        assert COSTS[key].gathered == rest + 2 * max(blocks.values())


@pytest.mark.parametrize(("key", "gigabytes"), [("instruct_pix2pix/sd15_8x_a100", 32), ("instruct_pix2pix/sdxl_8x_a100", 121)])
def test_fifty_thousand_encoded_pairs_with_their_mirror_images_are_counted(key, gigabytes):
    """sd15: 50,000 pairs, two pictures, two ways, mean and deviation of 4 x 64 x 64 numbers of 4 bytes; a caption 77 x 768 of 2."""
    preset = find_preset(key)
    config = parse_config(find_backend(preset.backend).config, preset.values_for(""))
    hardware = describe_hardware([Gpu("A100", 80.0, 80.0)] * 8, 64, 1000.0)
    assert compute_forecast(config, preset.pictures, hardware, 4e12).encoded_gb == pytest.approx(gigabytes, abs=0.7)
    live = config.model_copy(update={"cache_latents": False})
    assert compute_forecast(live, preset.pictures, hardware, 4e12).encoded_gb == 0
