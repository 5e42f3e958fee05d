"""What a person may write as base model, and what is refused before anything is loaded."""

from __future__ import annotations

import json

import pytest

from backends.contract.base_model_check import check_base_model
from backends.contract.base_models import BASE_MODELS, MODELS, name_source, parse_source, resolve_source
from backends.contract.errors import DarkroomError
from backends.contract.vae_source import parse_vae_source
from tests.tensor_files import FLUX, REFINER, SD2, SD15, SDXL, VAE, diffusers_unet, flux_transformer, ldm_unet, within, write_holes

FIELD, VAE_FIELD = "pretrained_model_name_or_path", "pretrained_vae_model_name_or_path"
NO_VAE = {n: s for n, s in SDXL.items() if "first_stage" not in n}


def write_index(folder, kind, **parts):
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind, **parts}))
    return folder


@pytest.mark.parametrize("key", BASE_MODELS)
def test_every_known_name_is_a_folder_here_or_a_name_of_the_hub(key):
    source = parse_source(key)
    assert source.path.is_dir() if BASE_MODELS[key].bundled else source.kind == "hub"
    assert check_base_model(key, BASE_MODELS[key].family) == source


def test_a_source_is_read_again_as_itself(tmp_path):
    file = write_holes(tmp_path / "flux.safetensors", FLUX)
    for name in ("pocket-sdxl", "sdxl", "me/model", str(MODELS / "pocket-flux"), str(file), f"{file} + me/flux", f"{file} + pocket-flux"):
        assert parse_source(resolve_source(name)) == parse_source(name)


def test_a_file_and_where_the_rest_comes_from(tmp_path):
    file = write_holes(tmp_path / "flux.safetensors", FLUX)
    source = parse_source(f"{file} + pocket-flux")
    assert (source.kind, source.path, source.rest.path) == ("file", file, MODELS / "pocket-flux")
    assert source.label == "flux.safetensors + pocket-flux"
    assert name_source(f"{file} + black-forest-labs/FLUX.1-dev") == "flux.safetensors + black-forest-labs/FLUX.1-dev"


def test_a_plus_in_a_name_of_the_disk_is_no_sign(tmp_path):
    file = write_holes(tmp_path / "cats + dogs.safetensors", SDXL)
    assert parse_source(str(file)).path == file
    folder = write_index(tmp_path / "a + b", "StableDiffusionXLPipeline")
    assert parse_source(str(folder)).path == folder


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("nonsense", "No base model is called “nonsense”"),
        ("models/sdxl.safetensors", "There is no file models/sdxl.safetensors"),
        ("models/sdxl.ckpt", "“sdxl.ckpt” is not a .safetensors file"),
        ("models/flux-q4.gguf", "“flux-q4.gguf” is not a .safetensors file"),
        ("me/model + me/other", "cannot be put together"),
    ],
)
def test_what_is_no_base_model_is_refused_with_the_way_out(name, rule):
    with pytest.raises(DarkroomError, match=rule) as caught:
        parse_source(name)
    assert caught.value.field == FIELD


REFUSED = {
    "another family": (SD15, "sdxl", "is an SD 1.5 checkpoint; SDXL is needed here. Choose a file of SDXL, or a training for SD 1.5"),
    "the refiner": (REFINER, "sdxl", "The refiner only polishes"),
    "a flux in an sdxl training": (FLUX, "sdxl", "is a Flux transformer; SDXL is needed here"),
    "an sdxl in a flux training": (SDXL, "flux", "is an SDXL checkpoint; Flux is needed here"),
    "sd 2": (SD2, "sd15", "is an SD 2 model; SD 1.5 is needed here"),
    "inpainting": ({**SDXL, **ldm_unet(2048, into=9, told=2816)}, "sdxl", "is an SDXL for inpainting; SDXL is needed here"),
    "a base for edits": ({**SD15, **ldm_unet(768, into=8)}, "sd15", "it wants a picture beside the words"),
    "a lora": ({"a.lora_down.weight": (4, 320)}, "sdxl", "is a LoRA; a base model is needed here"),
    "a vae": (VAE, "sdxl", "Name it under “Another VAE”"),
    "no vae inside": (NO_VAE, "sdxl", "has no VAE inside. Name one under “Another VAE”, for example madebyollin/sdxl-vae-fp16-fix"),
    "only a unet": (diffusers_unet(768), "sd15", r"“a.safetensors \+ stable-diffusion-v1-5/stable-diffusion-v1-5”"),
    "only a transformer": (FLUX, "flux", r"holds only the transformer of Flux; .*“a.safetensors \+ black-forest-labs/FLUX.1-dev”"),
    "schnell": (flux_transformer(guided=False), "flux", r"“a.safetensors \+ black-forest-labs/FLUX.1-schnell”"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_the_base_is_refused_from_its_header(case, tmp_path):
    shapes, family, rule = REFUSED[case]
    with pytest.raises(DarkroomError, match=rule) as caught:
        check_base_model(str(write_holes(tmp_path / "a.safetensors", shapes)), family)
    assert caught.value.field == FIELD
    assert str(tmp_path) not in caught.value.text


def test_files_that_can_be_the_base_pass(tmp_path):
    def pass_check(shapes, family, rest="", **known):
        return check_base_model(str(write_holes(tmp_path / "a.safetensors", shapes)) + rest, family, **known)

    pass_check(SDXL, "sdxl")
    pass_check({**SD15, **ldm_unet(768, into=8)}, "sd15", edits=True)
    pass_check(SD15, "sd15", edits=True)
    pass_check(NO_VAE, "sdxl", vae="madebyollin/sdxl-vae-fp16-fix")
    pass_check(FLUX, "flux", " + black-forest-labs/FLUX.1-dev")
    pass_check(diffusers_unet(2048, told=2816), "sdxl", " + sdxl")
    pass_check(REFINER, "sdxl-refiner")


def test_a_whole_checkpoint_needs_no_rest(tmp_path):
    file = write_holes(tmp_path / "a.safetensors", SDXL)
    with pytest.raises(DarkroomError, match="nothing must come from “stabilityai/stable-diffusion-xl-base-1.0”"):
        check_base_model(f"{file} + sdxl", "sdxl")


def test_the_rest_must_be_of_the_same_family(tmp_path):
    file = write_holes(tmp_path / "a.safetensors", FLUX)
    with pytest.raises(DarkroomError, match="“pocket-sdxl” is an SDXL; Flux is needed here"):
        check_base_model(f"{file} + pocket-sdxl", "flux")


@pytest.mark.parametrize(
    ("kind", "family", "rule"),
    [
        ("StableDiffusionPipeline", "sdxl", "is an SD 1.5; SDXL is needed here"),
        ("FluxPipeline", "sdxl", "is a Flux; SDXL is needed here"),
        ("FluxKontextPipeline", "flux", "is a FluxKontextPipeline; Flux is needed here"),
        ("StableDiffusionInstructPix2PixPipeline", "sd15", "edits pictures"),
    ],
)
def test_a_folder_of_another_pipeline_is_refused(kind, family, rule, tmp_path):
    with pytest.raises(DarkroomError, match=rule):
        check_base_model(str(write_index(tmp_path / "model", kind)), family)


def test_a_folder_that_edits_may_learn_edits_and_the_refiner_is_told_from_a_base(tmp_path):
    check_base_model(str(write_index(tmp_path / "edits", "StableDiffusionInstructPix2PixPipeline")), "sd15", edits=True)
    kind = "StableDiffusionXLImg2ImgPipeline"
    check_base_model(str(write_index(tmp_path / "base", kind, text_encoder=["transformers", "CLIPTextModel"])), "sdxl")
    with pytest.raises(DarkroomError, match="The refiner only polishes"):
        check_base_model(str(write_index(tmp_path / "refiner", kind, text_encoder=[None, None])), "sdxl")


def test_a_damaged_index_is_told(tmp_path):
    folder = write_index(tmp_path / "model", "FluxPipeline")
    (folder / "model_index.json").write_text("{")
    with pytest.raises(DarkroomError, match="model_index.json of “model” is damaged"):
        check_base_model(str(folder), "flux")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("me/vae", ("hub", "me/vae", "")),
        ("me/model/vae", ("hub", "me/model", "vae")),
        ("sdxl", ("hub", BASE_MODELS["sdxl"].source, "vae")),
        ("pocket-sdxl", ("folder", str(MODELS / "pocket-sdxl" / "vae"), "")),
    ],
)
def test_what_may_be_written_as_vae(name, found):
    source = parse_vae_source(name)
    assert (source.kind, source.place, source.subfolder) == found


def test_a_vae_of_another_kind_is_refused(tmp_path):
    wide = {**VAE, "decoder.conv_in.weight": (512, 16, 3, 3)}
    flux_vae = write_holes(tmp_path / "ae.safetensors", wide)
    with pytest.raises(DarkroomError, match="“ae.safetensors” makes latents with 16 channels; SDXL reads 4") as caught:
        check_base_model("sdxl", "sdxl", vae=str(flux_vae))
    assert caught.value.field == VAE_FIELD
    with pytest.raises(DarkroomError, match="with 8 channels; SD 1.5 reads 4"):
        check_base_model(str(write_holes(tmp_path / "a.safetensors", SD15)), "sd15", vae="pocket-sd15")
    with pytest.raises(DarkroomError, match="is a LoRA; a VAE is needed here"):
        check_base_model("sdxl", "sdxl", vae=str(write_holes(tmp_path / "b.safetensors", {"a.lora_A.weight": (4, 4)})))
    with pytest.raises(DarkroomError, match="holds no VAE"):
        check_base_model("sdxl", "sdxl", vae=str(tmp_path))
    with pytest.raises(DarkroomError, match="There is no file"):
        check_base_model("sdxl", "sdxl", vae=str(tmp_path / "none.safetensors"))
    with pytest.raises(DarkroomError, match="“what is this” is no VAE"):
        check_base_model("sdxl", "sdxl", vae="what is this")


def test_a_vae_may_be_taken_out_of_a_whole_checkpoint(tmp_path):
    check_base_model("sdxl", "sdxl", vae=str(write_holes(tmp_path / "a.safetensors", SDXL)))
    check_base_model("sdxl", "sdxl", vae=str(write_holes(tmp_path / "b.safetensors", within("vae.", VAE))))
