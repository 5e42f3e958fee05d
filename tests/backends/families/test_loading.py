"""Loading: the VAE's precision, black pictures, variants of folders, and bases stored small from folders and files."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from backends.contract.base_models import MODELS
from backends.contract.errors import DarkroomError
from backends.families.flux import Flux
from backends.families.loading import load_pipeline
from backends.families.protocol import LoadOptions
from backends.families.quantizing import store_small
from backends.families.sd15 import Sd15
from backends.families.sdxl import Sdxl

FAMILIES: dict[str, Any] = {"sd15": Sd15, "sdxl": Sdxl, "flux": Flux}
POCKET = MODELS / "pocket-sdxl"
FILES = {family: MODELS / f"pocket-{family}" / ("transformer" if family == "flux" else "unet") for family in FAMILIES}


def options(source: object, **more: Any) -> LoadOptions:
    return LoadOptions(source=str(source), device=torch.device("cpu"), **{"dtype": torch.float32, **more})


def save_vae(folder, **config):
    vae = AutoencoderKL.from_pretrained(POCKET / "vae")
    vae.register_to_config(**config)
    vae.save_pretrained(folder)
    return str(folder)


def test_a_vae_computes_in_the_runs_precision_only_where_it_says_that_it_can(tmp_path):
    mended, other = save_vae(tmp_path / "a", force_upcast=False), save_vae(tmp_path / "b", force_upcast=True)
    dtypes = [Sdxl.load(options(POCKET, dtype=torch.float16, vae_source=v)).vae.dtype for v in (mended, other, None)]
    assert dtypes == [torch.float16, torch.float32, torch.float32]


def test_the_vae_is_not_rounded_to_the_runs_precision_on_its_way(tmp_path):
    """Its weights in bfloat16 would have three digits, and every latent be a little off."""
    weights = AutoencoderKL.from_pretrained(POCKET / "vae")
    weights.register_to_config(force_upcast=True)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.add_(torch.rand_like(parameter) * 1e-4)  # what half precision cannot hold
    folder = shutil.copytree(POCKET, tmp_path / "model")
    weights.save_pretrained(folder / "vae")
    for more in ({}, {"vae_source": str(folder)}):
        loaded = Sdxl.load(options(folder, dtype=torch.bfloat16, **more)).vae
        wanted = weights.state_dict()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in loaded.state_dict().items())


def test_latents_that_would_be_black_pictures_are_refused_with_the_vae_that_was_mended(tmp_path):
    family = Sdxl.load(options(POCKET, vae_source=save_vae(tmp_path / "a", force_upcast=False)))
    family.vae.encoder.conv_in.weight.data.fill_(float("inf"))
    with pytest.raises(DarkroomError, match="black pictures.*madebyollin/sdxl-vae-fp16-fix") as caught:
        family.encode_pictures(torch.zeros(1, 3, 64, 64))
    assert caught.value.field == "pretrained_vae_model_name_or_path"


def test_a_variant_that_a_folder_has_not_is_refused(tmp_path):
    with pytest.raises(DarkroomError, match="“pocket-sdxl” has no weights of the variant “fp16”. Leave Variant empty"):
        Sdxl.load(options(POCKET, variant="fp16"))
    half = shutil.copytree(POCKET, tmp_path / "half")
    for path in half.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert Sdxl.load(options(half, variant="fp16")).unet.dtype == torch.float32


@pytest.mark.parametrize("absent", ["unet/diffusion_pytorch_model.safetensors", "text_encoder_2/config.json"])
def test_a_folder_that_lacks_a_file_is_told_with_its_name(absent, tmp_path):
    folder = shutil.copytree(POCKET, tmp_path / "model")
    (folder / absent).unlink()
    with pytest.raises(DarkroomError, match="“model”") as caught:
        Sdxl.load(options(folder))
    assert caught.value.field == "pretrained_model_name_or_path"


def test_torn_weights_are_told_and_not_shown_as_a_traceback(tmp_path):
    folder = shutil.copytree(POCKET, tmp_path / "model")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(DarkroomError, match="“model” could not be loaded"):
        Sdxl.load(options(folder))


def test_a_folder_that_edits_is_gone_on_with_where_edits_are_learnt(tmp_path):
    folder = shutil.copytree(MODELS / "pocket-sd15", tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionInstructPix2PixPipeline"}))
    assert Sd15.load(options(folder, edits=True)).name == "sd15"
    with pytest.raises(DarkroomError, match="“model” edits pictures"):
        Sd15.load(options(folder))


@pytest.mark.parametrize("choice", ["int8", "float8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_stored_small_keeps_its_predictions_nearly(family, choice):
    pytest.importorskip("torchao")
    kind, folder = FAMILIES[family], MODELS / f"pocket-{family}"
    file = f"{FILES[family] / 'diffusion_pytorch_model.safetensors'} + {folder}"
    small, of_file, whole = (kind.load(options(s, quantize=q)) for s, q in ((folder, choice), (file, choice), (folder, "none")))
    for found in (small, of_file):
        linear = [m.weight for m in found.denoiser()[1].modules() if isinstance(m, torch.nn.Linear)]
        assert linear and {type(w.data).__name__ for w in linear} == {"Int8Tensor" if choice == "int8" else "Float8Tensor"}
        assert found.quantized
    error = float((predict(small) - predict(whole)).norm() / predict(whole).norm())
    assert 0 < error < 0.1
    torch.testing.assert_close(predict(of_file), predict(small))


@torch.no_grad()
def test_four_bits_take_the_place_of_every_linear_layer_of_a_file():
    """On a CPU, where bitsandbytes computes slowly but does; a run with it is refused there."""
    pytest.importorskip("bitsandbytes")
    made = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Sequential(torch.nn.Linear(64, 8, bias=False), torch.nn.GELU()))
    picture = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    wanted = made(picture)
    store_small(made, "nf4", torch.float32)
    made.to("cpu")
    assert {type(m).__name__ for m in made.modules()} == {"Sequential", "Linear4bit", "GELU"}
    assert made[0].weight.numel() == 64 * 64 / 2
    error = float((made(picture) - wanted).norm() / wanted.norm())
    assert 0 < error < 0.25


@torch.no_grad()
def predict(family: Any) -> torch.Tensor:
    noisy = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    conditions = family.encode_prompts(["a cat on a blue background"])
    if isinstance(family, Sdxl):
        conditions["time_ids"] = torch.tensor([[128.0, 128, 0, 0, 128, 128]])
    return family.predict(noisy, torch.tensor([500]), conditions)


def test_what_this_machine_cannot_store_is_refused_before_the_base_is_looked_for():
    with pytest.raises(DarkroomError, match="nf4, which needs an NVIDIA GPU") as caught:
        load_pipeline(Flux.kind, options("there/is-no-such-model", quantize="nf4"), denoiser="transformer")
    assert caught.value.field == "quantize_base"
