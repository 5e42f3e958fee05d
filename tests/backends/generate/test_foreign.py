"""LoRAs as other programs write them: kohya's layout for SD 1.5 and SDXL, kohya's over Black Forest Labs' names for Flux."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from backends.contract.adapter_file import read_adapter_header
from backends.contract.errors import DarkroomError
from backends.generate.adapters import AdapterRack
from backends.generate.loading import load_draw_pipeline
from tests.adapters import EVERYTHING, write_adapter
from tests.backends.generate.drawn import config, draw, plain, with_lora

pytestmark = pytest.mark.slow
PREFIXES = {
    "pocket-sd15": {"unet": "lora_unet", "text_encoder": "lora_te_text_model"},
    "pocket-sdxl": {"unet": "lora_unet", "text_encoder": "lora_te1_text_model", "text_encoder_2": "lora_te2"},
}


def lay_out_like_kohya(source, target, base, alpha):
    """The same LoRA under kohya's names, with a scalar alpha for each module."""
    state = {}
    for key, tensor in load_file(source).items():
        component, _, rest = key.partition(".")
        module, side = rest.removesuffix(".weight").rsplit(".", 1)
        name = f"{PREFIXES[base][component]}_{module.replace('.', '_')}"
        state[f"{name}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = tensor
        state[f"{name}.alpha"] = torch.tensor(float(alpha))
    save_file(state, target)
    return target


@pytest.mark.parametrize("base", PREFIXES)
def test_kohyas_layout_draws_the_same_picture_as_our_own(tmp_path, base):
    own = write_adapter(tmp_path / "own.safetensors", 3, base=base, alpha=3, rank=4, layers=EVERYTHING, text=True)
    foreign = lay_out_like_kohya(own, tmp_path / "foreign.safetensors", base, 3)
    pipeline = load_draw_pipeline(base)
    expected = plain(base, with_lora(base, own))
    assert np.array_equal(draw(pipeline, config(base, (foreign, 1.0))), expected)
    assert np.array_equal(draw(pipeline, config(base, (foreign, 0.0))), plain(base))


def test_a_lora_of_sdxl_in_kohyas_layout_is_refused_by_sd15(tmp_path):
    own = write_adapter(tmp_path / "own.safetensors", 3, base="pocket-sdxl", text=True)
    foreign = lay_out_like_kohya(own, tmp_path / "xl.safetensors", "pocket-sdxl", 3)
    with pytest.raises(DarkroomError, match="“xl.safetensors” .*does not fit Pocket 1.5"):
        load_draw_pipeline("pocket-sd15").check(config("pocket-sd15", (foreign, 1.0)))


def test_a_loha_of_another_program_says_that_it_is_not_read(tmp_path):
    path = tmp_path / "lycoris.safetensors"
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    save_file({f"{name}.hada_w{i}_{s}": torch.ones(4, 64) for i in (1, 2) for s in "ab"} | {f"{name}.alpha": torch.tensor(1.0)}, path)
    with pytest.raises(DarkroomError, match="LoHa or LoKr in the layout of another program"):
        load_draw_pipeline("pocket-sd15").check(config("pocket-sd15", (path, 1.0)))


@pytest.fixture(scope="module")
def flux_rack():
    """The real sizes of Flux with one block of each kind, without numbers: enough to see what fits."""
    with torch.device("meta"):
        transformer = FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True)
    pipeline = FluxPipeline(
        scheduler=None, vae=None, text_encoder=None, tokenizer=None, text_encoder_2=None, tokenizer_2=None, transformer=transformer
    )
    return AdapterRack(pipeline, "Flux dev", ("transformer", "text_encoder"))


def black_forest_lora(width=3072, rank=2):
    """Factors of the fused layers of one double and one single block, under kohya's names."""
    generator = torch.Generator().manual_seed(0)
    wide = {
        "double_blocks_0_img_attn_qkv": (width, 3 * width),
        "double_blocks_0_img_attn_proj": (width, width),
        "double_blocks_0_img_mlp_0": (width, 4 * width),
        "double_blocks_0_img_mlp_2": (4 * width, width),
        "double_blocks_0_txt_attn_qkv": (width, 3 * width),
        "single_blocks_0_linear1": (width, 7 * width),
        "single_blocks_0_linear2": (5 * width, width),
    }
    state = {}
    for name, (inputs, outputs) in wide.items():
        state[f"lora_unet_{name}.lora_down.weight"] = torch.randn(rank, inputs, generator=generator)
        state[f"lora_unet_{name}.lora_up.weight"] = torch.randn(outputs, rank, generator=generator)
        state[f"lora_unet_{name}.alpha"] = torch.tensor(float(rank))
    return state


def test_kohyas_layout_over_black_forest_labs_names_fits_flux(tmp_path, flux_rack):
    path, state = tmp_path / "bfl.safetensors", black_forest_lora()
    save_file(state, path)
    flux_rack.check(path, read_adapter_header(path))
    converted = flux_rack._convert(path)
    fused = (
        state["lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"] @ state["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"]
    )
    for part, name in enumerate(("to_q", "to_k", "to_v")):
        key = f"transformer.transformer_blocks.0.attn.{name}.lora_"
        split = converted[f"{key}B.weight"] @ converted[f"{key}A.weight"]
        assert torch.allclose(split, fused[part * 3072 : (part + 1) * 3072], atol=1e-5)


def test_kohyas_layout_of_another_size_is_refused_by_flux_and_by_the_pocket_model(tmp_path, flux_rack):
    path = tmp_path / "small.safetensors"
    save_file(black_forest_lora(width=192), path)
    with pytest.raises(DarkroomError, match="“small.safetensors” was made for Flux.* does not fit Flux dev"):
        flux_rack.check(path, read_adapter_header(path))
    save_file(black_forest_lora(), path)
    with pytest.raises(DarkroomError, match="does not fit Pocket Flux"):
        load_draw_pipeline("pocket-flux").check(config("pocket-flux", (path, 1.0)))
