"""One file as base model: the same predictions as from the folder in diffusers' layout, offline, and refused where it does not fit."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import safetensors.torch
import torch
from diffusers import (
    AutoencoderKL,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)

from backends.contract.base_model_check import PIPELINES
from backends.contract.base_models import MODELS
from backends.contract.clip_vocabulary import CONFIGS
from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file
from backends.engine.layouts import original
from backends.families.flux import Flux
from backends.families.loading import load_pipeline
from backends.families.protocol import EXTRA_CHANNELS, LoadOptions
from backends.families.sd15 import Sd15
from backends.families.sdxl import TIME_IDS, Sdxl
from backends.families.single_file import load_denoiser
from tests.ldm_layout import build_empty, build_pipeline, lay_out, to_bfl, write_checkpoint, write_small_configs
from tests.tensor_files import write_holes

KINDS: dict[str, Any] = {"sd15": Sd15, "sdxl": Sdxl}
CPU, FLOAT = torch.device("cpu"), torch.float32


def options(source: object, **more: Any) -> LoadOptions:
    return LoadOptions(source=str(source), device=CPU, **{"dtype": FLOAT, **more})


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Small models as files in LDM's layout and as folders, with the configs that describe them."""
    root = tmp_path_factory.mktemp("small")
    write_small_configs(root / "configs")
    for family, kind in (("sd15", StableDiffusionPipeline), ("sdxl", StableDiffusionXLPipeline)):
        pipeline = build_pipeline(kind, root / "configs" / family)
        pipeline.save_pretrained(root / family)
        write_checkpoint(root / f"{family}.safetensors", pipeline)
    return root


def load_small(small: Path, family: str, source: object, **more: Any) -> Any:
    """A family over a file of a small model, through the same path as a large one."""
    kind, chosen = KINDS[family], options(source, **more)
    return kind(load_pipeline(kind.kind, chosen, vae_dtype=FLOAT, configs=small / "configs"), chosen)


@torch.no_grad()
def ask(family: Any) -> dict[str, torch.Tensor]:
    """What a family makes of a prompt, a picture and a noisy picture."""
    generator = torch.Generator().manual_seed(1)
    conditions = family.encode_prompts(["a photo of zog", ""])
    if isinstance(family, Sdxl):
        conditions[TIME_IDS] = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2)
    noisy = torch.randn(2, 4, 8, 8, generator=generator)
    if family.unet.config.in_channels == 8:
        conditions[EXTRA_CHANNELS] = torch.randn(2, 4, 8, 8, generator=generator)
    mean, deviation = family.encode_pictures(torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1)
    decoded = family.vae.decode(mean).sample
    return {
        "prediction": family.predict(noisy, torch.tensor([500, 20]), conditions),
        "mean": mean,
        "deviation": deviation,
        "decoded": decoded,
    }


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", KINDS)
def test_a_checkpoint_predicts_what_its_folder_predicts(family, small):
    wanted = ask(KINDS[family].load(options(small / family)))
    assert_same(ask(load_small(small, family, small / f"{family}.safetensors")), wanted)
    assert wanted["prediction"].abs().max() > 0.1


def test_the_refiner_loads_with_its_one_text_encoder(small, tmp_path):
    made = build_pipeline(StableDiffusionXLImg2ImgPipeline, small / "configs" / "sdxl-refiner")
    file = write_checkpoint(tmp_path / "refiner.safetensors", made)
    found = load_pipeline(StableDiffusionXLImg2ImgPipeline, options(file), configs=small / "configs")
    assert found.text_encoder is None and found.config.requires_aesthetics_score
    for name in ("unet", "vae", "text_encoder_2"):
        wanted, weights = getattr(made, name).state_dict(), getattr(found, name).state_dict()
        assert weights.keys() == wanted.keys() and all(torch.equal(weights[n], t) for n, t in wanted.items())


@pytest.mark.parametrize("family", KINDS)
def test_a_checkpoint_that_edits_has_room_for_the_picture_before(family, small, tmp_path):
    made = build_pipeline(KINDS[family].kind, small / "configs" / family, in_channels=8)
    made.save_pretrained(tmp_path / "folder")
    file = write_checkpoint(tmp_path / "edits.safetensors", made)
    loaded = load_small(small, family, file, edits=True)
    loaded.widen_input()  # there is room already
    assert loaded.unet.config.in_channels == 8
    assert_same(ask(loaded), ask(KINDS[family].load(options(tmp_path / "folder", edits=True))))
    with pytest.raises(DarkroomError, match="for edits: it wants a picture beside the words"):
        load_small(small, family, file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [StableDiffusionPipeline, StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline], ids=["sd15", "sdxl", "refiner"]
)
def test_a_file_of_the_published_size_loads_with_the_shipped_configs(kind, tmp_path):
    """All names and shapes of the real architecture; the numbers are a hole in the disk, so that 7 GB take none."""
    family, _ = PIPELINES[kind.__name__]
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    made = SimpleNamespace(**{n: build_empty(f"{family}/{n}") if (CONFIGS / family / n).is_dir() else None for n in parts})
    shapes = {name: tuple(tensor.shape) for name, tensor in lay_out(made).items()}
    file = write_holes(tmp_path / "whole.safetensors", shapes)
    assert file.stat().st_size > 2e9
    found = load_pipeline(kind, options(file, dtype=torch.float16, edits=False))
    for name in parts:
        wanted, module = getattr(made, name), getattr(found, name, None)
        assert (wanted is None) == (module is None)
        if wanted is not None:
            assert [p.shape for p in module.parameters()] == [p.shape for p in wanted.parameters()]
            assert not any(p.is_meta for p in module.parameters())


def test_old_weights_beside_the_checkpoints_own_are_left_where_they_are(small, tmp_path):
    """Files for training on hold an average of the weights too."""
    made = build_pipeline(StableDiffusionPipeline, small / "configs" / "sd15")
    unet = {n.removeprefix(original.UNET): t for n, t in lay_out(made).items() if n.startswith(original.UNET)}
    extra = {f"model_ema.diffusion_model{name.replace('.', '')}": torch.full_like(t, 7) for name, t in unet.items()}
    file = write_checkpoint(tmp_path / "a.safetensors", made, extra=extra)
    assert_same(ask(load_small(small, "sd15", file)), ask(load_small(small, "sd15", small / "sd15.safetensors")))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_is_frozen_is_halved_and_what_is_trained_is_not(dtype, small):
    file = small / "sdxl.safetensors"
    frozen = load_small(small, "sdxl", file, dtype=dtype)
    assert (frozen.unet.dtype, frozen._pipeline.text_encoder_2.dtype) == (dtype, dtype)
    trained = load_small(small, "sdxl", file, dtype=dtype, trains_denoiser=True)
    assert (trained.unet.dtype, trained._pipeline.text_encoder.dtype) == (FLOAT, dtype)


def test_a_checkpoint_for_v_prediction_is_sampled_so(small, tmp_path):
    made = build_pipeline(StableDiffusionXLPipeline, small / "configs" / "sdxl")
    file = write_checkpoint(tmp_path / "v.safetensors", made, extra={"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)})
    loaded = load_small(small, "sdxl", file)
    assert loaded.schedule.prediction_type == "v_prediction"
    assert loaded._pipeline.scheduler.config.rescale_betas_zero_snr
    assert load_small(small, "sdxl", small / "sdxl.safetensors").schedule.prediction_type == "epsilon"


def test_a_checkpoint_without_a_vae_takes_the_one_that_is_named(small, tmp_path):
    made = build_pipeline(StableDiffusionXLPipeline, small / "configs" / "sdxl")
    file = write_checkpoint(tmp_path / "bare.safetensors", made, leave_out="first_stage_model.")
    with pytest.raises(DarkroomError, match="has no VAE inside"):
        load_small(small, "sdxl", file)
    loaded = load_small(small, "sdxl", file, vae_source=str(small / "sdxl"))
    assert_same(ask(loaded), ask(load_small(small, "sdxl", small / "sdxl.safetensors")))


@pytest.mark.parametrize("layout", ["ldm", "ldm in a checkpoint", "diffusers", "folder", "folder of a whole model"])
def test_a_vae_is_read_from_every_place_that_people_have_it_in(layout, small, tmp_path):
    torch.manual_seed(5)
    made = AutoencoderKL.from_config(AutoencoderKL.load_config(small / "configs" / "sdxl" / "vae"))
    pipeline = build_pipeline(StableDiffusionXLPipeline, small / "configs" / "sdxl")
    pipeline.vae, path = made, tmp_path / "vae.safetensors"
    if layout == "ldm":
        safetensors.torch.save_file(
            {n.removeprefix(original.VAE): t.clone() for n, t in original.lay_out_vae(made.state_dict()).items()}, str(path)
        )
    elif layout == "ldm in a checkpoint":
        write_checkpoint(path, pipeline)
    elif layout == "diffusers":
        safetensors.torch.save_file(made.state_dict(), str(path))
    else:
        path = tmp_path / "vae"
        (made if layout == "folder" else pipeline).save_pretrained(path)
    loaded = load_small(small, "sdxl", small / "sdxl.safetensors", vae_source=str(path))
    weights = loaded.vae.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in made.state_dict().items())
    assert loaded.vae.config.scaling_factor == 0.13025


def test_a_unet_alone_takes_the_rest_from_a_folder():
    """As the result of a training of all weights is: the UNet in diffusers' layout."""
    file = MODELS / "pocket-sdxl" / "unet" / "diffusion_pytorch_model.safetensors"
    joined, whole = (Sdxl.load(options(source)) for source in (f"{file} + pocket-sdxl", MODELS / "pocket-sdxl"))
    wanted = whole.unet.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in joined.unet.state_dict().items())
    assert joined.prompt_identity() == whole.prompt_identity() and joined.picture_identity() == whole.picture_identity()
    assert joined.metadata()["ss_sd_model_name"] == "diffusion_pytorch_model.safetensors + pocket-sdxl"


def test_a_flux_transformer_alone_takes_the_rest_from_a_folder():
    file = MODELS / "pocket-flux" / "transformer" / "diffusion_pytorch_model.safetensors"
    joined, whole = (Flux.load(options(source)) for source in (f"{file} + {MODELS / 'pocket-flux'}", MODELS / "pocket-flux"))
    wanted = whole.transformer.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in joined.transformer.state_dict().items())
    with pytest.raises(DarkroomError, match=r"\+ black-forest-labs/FLUX.1-dev"):
        Flux.load(options(file))


@pytest.mark.slow
@pytest.mark.parametrize("guided", [True, False])
def test_a_flux_in_its_authors_layout_keeps_every_weight(guided, tmp_path):
    """At its real width, which the conversion is made for, with one block of each kind: half a billion weights."""
    config = FluxTransformer2DModel.load_config(CONFIGS / "flux" / "transformer")
    config |= {"num_layers": 1, "num_single_layers": 1, "joint_attention_dim": 64, "guidance_embeds": guided}
    with torch.device("meta"):
        made = FluxTransformer2DModel.from_config(config)
    made = made.to(torch.bfloat16).to_empty(device="cpu")
    for number, tensor in enumerate(made.state_dict().values()):
        tensor.copy_((torch.arange(math.prod(tensor.shape), dtype=torch.int32) % (251 - number % 100)).view(tensor.shape))
    folder = tmp_path / "config" / "transformer"
    made.save_config(folder)
    path = tmp_path / "flux.safetensors"
    safetensors.torch.save_file({n: t.contiguous() for n, t in to_bfl(made).items()}, str(path))
    file = read_model_file(path)
    assert (file.family, file.layout, file.guided) == ("flux", "ldm", guided)
    found = load_denoiser(path, file, folder.parent, dtype=torch.bfloat16).state_dict()
    wanted = made.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_a_model_of_another_build_is_refused_before_its_numbers_are_read(small):
    with pytest.raises(DarkroomError, match="is of another build than SDXL: its unet has .* million weights instead of 2,567.5"):
        load_pipeline(StableDiffusionXLPipeline, options(small / "sdxl.safetensors"))


def test_a_checkpoint_that_lacks_weights_is_refused(small, tmp_path):
    made = build_pipeline(StableDiffusionXLPipeline, small / "configs" / "sdxl")
    file = write_checkpoint(tmp_path / "a.safetensors", made, leave_out="conditioner.embedders.1.model.transformer.resblocks.2.ln_1")
    with pytest.raises(DarkroomError, match="“a.safetensors” is not complete: 2 weights of its text_encoder_2 are missing"):
        load_small(small, "sdxl", file)


@pytest.mark.parametrize("family", KINDS)
def test_a_file_of_the_other_family_is_refused_without_reading_it(family, small, monkeypatch):
    other = next(name for name in KINDS if name != family)
    monkeypatch.setattr("backends.families.single_file.safe_open", None)  # whoever reads a number now fails otherwise
    with pytest.raises(DarkroomError, match="is needed here"):
        load_small(small, family, small / f"{other}.safetensors")


def test_nothing_is_asked_of_the_hub(small, monkeypatch):
    """Left alone, diffusers would look for the configs of the original repositories there."""
    monkeypatch.setattr(diffusers.loaders.single_file, "snapshot_download", None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for family in KINDS:
        assert load_small(small, family, small / f"{family}.safetensors").name == family
