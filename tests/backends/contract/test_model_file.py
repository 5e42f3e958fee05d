"""What a file is, told from its header: the families, their parts, and the files that people confuse with a base model."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file
from tests.tensor_files import FLUX, REFINER, SD2, SD15, SDXL, VAE, diffusers_unet, flux_transformer, ldm_unet, within, write_holes

LORA = {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (16, 320)}
KNOWN = {
    "an SD 1.5 checkpoint": SD15,
    "an SDXL checkpoint": SDXL,
    "an SDXL refiner checkpoint": REFINER,
    "a Flux transformer": FLUX,
    "an SD 1.5 checkpoint for edits": {**SD15, **ldm_unet(768, into=8)},
    "an SDXL checkpoint for edits": {**SDXL, **ldm_unet(2048, into=8, told=2816)},
    "an SDXL UNet": diffusers_unet(2048, told=2816),
    "an SD 1.5 UNet": diffusers_unet(768),
    "an SDXL refiner UNet": diffusers_unet(1280, told=2560),
    "an SD 1.5 UNet for edits": diffusers_unet(768, into=8),
    "a VAE": VAE,
    "a LoRA": LORA,
    "an SD 2 model": SD2,
    "an SD 1.5 for inpainting": {**SD15, **ldm_unet(768, into=9)},
    "an SDXL for inpainting": {**SDXL, **ldm_unet(2048, into=9, told=2816)},
    "a Flux that takes further pictures (Fill, Canny, Depth or the like)": flux_transformer(into=384),
    "a Flux 2 model": within("model.diffusion_model.", {"double_stream_modulation_img.lin.weight": (6, 6)}),
    "a Chroma model": {**FLUX, "distilled_guidance_layer.in_proj.bias": (6,)},
    "an SD 3 model": within("model.diffusion_model.", {"joint_blocks.0.x_block.attn.qkv.weight": (6, 6)}),
    "a ControlNet": {"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
    "a CLIP text encoder": {"text_model.encoder.layers.0.self_attn.q_proj.weight": (768, 768)},
    "a T5 text encoder": {"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)},
    "a textual inversion": {"clip_l": (4, 768), "clip_g": (4, 1280)},
    "a model that another program has quantised; give the unquantised one": {**FLUX, "double_blocks.0.img_mlp.0.scale_weight": (1,)},
    "of a kind that Darkroom does not know": {"layer.weight": (6, 6)},
}


@pytest.mark.parametrize("sentence", KNOWN)
def test_a_file_is_told_by_its_names_and_shapes(sentence, tmp_path):
    assert read_model_file(write_holes(tmp_path / "a.safetensors", KNOWN[sentence])).sentence == sentence


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F8_E4M3"])
def test_the_numbers_format_does_not_matter(dtype, tmp_path):
    assert read_model_file(write_holes(tmp_path / "a.safetensors", SDXL, dtype=dtype)).whole


@pytest.mark.parametrize(
    ("shapes", "parts"),
    [
        (SDXL, {"unet", "vae", "text_encoder", "text_encoder_2"}),
        (SD15, {"unet", "vae", "text_encoder"}),
        (REFINER, {"unet", "vae", "text_encoder_2"}),
        ({n: s for n, s in SD15.items() if "first_stage" not in n}, {"unet", "text_encoder"}),
        (FLUX, {"transformer"}),
    ],
)
def test_its_parts_are_listed(shapes, parts, tmp_path):
    assert read_model_file(write_holes(tmp_path / "a.safetensors", shapes)).parts == parts


def test_the_weights_of_what_predicts_are_counted_without_the_rest(tmp_path):
    found = read_model_file(write_holes(tmp_path / "a.safetensors", SD15))
    assert found.numbers == 320 * 4 * 9 + 640 * 768 + 4 * 320 * 9


def test_what_a_checkpoint_says_of_its_noise_is_kept(tmp_path):
    found = read_model_file(write_holes(tmp_path / "a.safetensors", {**SDXL, "v_pred": (1,), "ztsnr": (1,)}))
    assert (found.prediction_type, found.zero_snr) == ("v_prediction", True)
    assert read_model_file(write_holes(tmp_path / "b.safetensors", SDXL)).prediction_type == ""


def test_flux_dev_and_schnell_differ_by_their_guidance(tmp_path):
    dev, schnell = (read_model_file(write_holes(tmp_path / "a.safetensors", flux_transformer(guided=guided))) for guided in (True, False))
    assert (dev.guided, schnell.guided) == (True, False)
    assert dev.latent_channels == 16


def test_a_flux_that_lies_beside_its_encoders_is_still_a_flux(tmp_path):
    """The all-in-one files that ComfyUI offers."""
    shapes = {**within("model.diffusion_model.", FLUX), **within("vae.", VAE), "text_encoders.t5xxl.transformer.shared.weight": (8, 8)}
    found = read_model_file(write_holes(tmp_path / "a.safetensors", shapes))
    assert (found.family, found.kind) == ("flux", "denoiser")
    assert found.numbers == read_model_file(write_holes(tmp_path / "b.safetensors", FLUX)).numbers


def test_a_torn_file_is_refused_at_the_base_model(tmp_path):
    path = write_holes(tmp_path / "torn.safetensors", SDXL)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(DarkroomError, match="“torn.safetensors” cannot be used as a model") as caught:
        read_model_file(path)
    assert caught.value.field == "pretrained_model_name_or_path"
