"""What a run learnt in other programs' layouts draws the picture that the run's own file draws.

Plain diffusers reads what it knows. What it does not know (DoRA, LoHa, LoKr under kohya's names) is put into its weights here by the
formulas of those who read it: LyCORIS, whose ComfyUI's and Forge's loaders are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from diffusers import FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from backends.contract.errors import DarkroomError
from backends.contract.settings.lora import FLUX_LORA_LAYERS
from backends.engine.export import export
from tests.backends.engine.test_drawn_alike import EDITING, PLAIN, draw, furthest, pixels

SQUARE = {"width": 64, "height": 64}


def metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as file:
        return dict(file.metadata())


def exported(run: Any, folder: Path, layout: str = "kohya", **options: Any) -> Path:
    path = folder / (layout if layout == "folder" else f"{layout}.safetensors")
    export(run.result, path, layout, **options)
    return path


@pytest.mark.parametrize("variant", ["lora", "rslora"])
@pytest.mark.parametrize("name", ["sd15/text_to_image", "sdxl/text_to_image"])
def test_the_kohya_layout_draws_the_very_sample(trained, toy_base, tmp_path, name, variant):
    family = name.partition("/")[0]
    run = trained(name, train_text_encoder=True) if variant == "lora" else trained(name, lora_variant=variant)
    path = exported(run, tmp_path)
    pipeline = PLAIN[family].from_pretrained(toy_base(family))
    pipeline.load_lora_weights(tmp_path, weight_name=path.name)
    assert furthest(draw(pipeline, **SQUARE), pixels(run.sample(3, 0))) == 0
    alphas = {float(t) for key, t in load_file(path).items() if key.endswith(".alpha")}
    assert alphas == {3.0} if variant == "lora" else len(alphas) == 1 and alphas.pop() == pytest.approx(3 / 2**0.5 * 2)
    wanted = {"sd15": {"unet", "te"}, "sdxl": {"unet", "te1", "te2"}}[family] if variant == "lora" else {"unet"}
    assert {key.split("_")[1] for key in load_file(path)} == wanted


@pytest.mark.parametrize("settings", [{"train_text_encoder": True}, {"lora_variant": "rslora"}, {"lora_variant": "dora"}], ids=str)
def test_flux_in_the_diffusers_layout_has_its_alpha_and_draws_the_very_sample(trained, toy_base, tmp_path, settings):
    run = trained("flux/text_to_image", **settings)
    path = exported(run, tmp_path, "diffusers")
    pipeline = PLAIN["flux"].from_pretrained(toy_base("flux"))
    pipeline.load_lora_weights(tmp_path, weight_name=path.name)
    assert furthest(draw(pipeline, **SQUARE), pixels(run.sample(3, 0))) == 0
    state = load_file(path)
    assert "lora_adapter_metadata" not in metadata(path)
    assert sum(key.endswith(".alpha") for key in state) == sum(key.endswith("lora_A.weight") for key in state) > 0


@pytest.mark.parametrize("name", ["sd15/text_to_image", "sdxl/text_to_image"])
def test_the_layouts_differ_in_names_only(trained, tmp_path, name):
    run = trained(name)
    path = exported(run, tmp_path, "diffusers")
    one, two = load_file(run.result), load_file(path)
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def merge_lycoris(pipeline: Any, path: Path) -> int:
    """Puts a file under kohya's names into a plain pipeline's weights; gives how many modules it changed."""
    state = load_file(path)
    names = {}
    for component in ("unet", "transformer", "text_encoder", "text_encoder_2"):
        for name, module in getattr(pipeline, component, torch.nn.Module()).named_modules():
            plain = name.removeprefix("text_model.").replace(".", "_")
            second = "te2" if component == "text_encoder_2" else "te1" if hasattr(pipeline, "text_encoder_2") else "te"
            prefix = {"unet": "lora_unet_", "transformer": "lycoris_"}.get(component, f"lora_{second}_text_model_")
            names[prefix + plain] = module
    changed = {key.split(".")[0] for key in state}
    for name in changed:
        factors = {key.split(".", 1)[1]: t.double() for key, t in state.items() if key.startswith(f"{name}.")}
        weight = names[name].weight
        with torch.no_grad():
            weight.copy_(_merged(weight.double(), factors))
    return len(changed)


def _merged(weight: torch.Tensor, f: dict[str, torch.Tensor]) -> torch.Tensor:
    if "lora_up.weight" in f:
        rank = f["lora_down.weight"].shape[0]
        delta = f["lora_up.weight"].flatten(1) @ f["lora_down.weight"].flatten(1) * f["alpha"] / rank
    elif "hada_w1_a" in f:
        delta = (f["hada_w1_a"] @ f["hada_w1_b"]) * (f["hada_w2_a"] @ f["hada_w2_b"]) * f["alpha"] / f["hada_w1_b"].shape[0]
    else:
        rank = next((f[n].shape[0] for n in ("lokr_w1_b", "lokr_w2_b") if n in f), None)
        first, second = (f[f"lokr_{w}"] if f"lokr_{w}" in f else f[f"lokr_{w}_a"] @ f[f"lokr_{w}_b"] for w in ("w1", "w2"))
        delta = torch.kron(first, second.flatten(1)) * (f["alpha"] / rank if rank else 1.0)
    found = weight + delta.reshape(weight.shape)
    if "dora_scale" in f:
        length = found.flatten(1).norm(dim=1).reshape(f["dora_scale"].shape)
        found = found * f["dora_scale"] / length
    return found


@pytest.mark.parametrize("variant", ["dora", "loha", "lokr"])
@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_dora_loha_and_lokr_under_kohyas_names_do_what_they_did_in_training(trained, toy_base, tmp_path, family, variant):
    run = trained(f"{family}/text_to_image", lora_variant=variant, train_text_encoder=True)
    path = exported(run, tmp_path)
    pipeline = PLAIN[family].from_pretrained(toy_base(family))
    base = draw(pipeline, **SQUARE)
    assert merge_lycoris(pipeline, path) > 30
    found = draw(pipeline, **SQUARE)
    assert furthest(found, pixels(run.sample(3, 0))) <= 1 and furthest(found, base) > 10
    assert metadata(path)["ss_network_module"] == ("networks.lora" if variant == "dora" else "lycoris.kohya")


@pytest.mark.parametrize("variant", ["loha", "lokr"])
def test_loha_and_lokr_of_flux_under_the_names_that_know_single_matrices(trained, toy_base, tmp_path, variant):
    run = trained("flux/text_to_image", lora_variant=variant)
    pipeline = PLAIN["flux"].from_pretrained(toy_base("flux"))
    assert merge_lycoris(pipeline, exported(run, tmp_path)) > 10
    assert furthest(draw(pipeline, **SQUARE), pixels(run.sample(3, 0))) <= 1


def split_flux(state: dict[str, torch.Tensor], width: int) -> dict[str, torch.Tensor]:
    """What a file in the original layout of Flux adds to each matrix of diffusers' model."""
    double = {"img_attn_qkv": ("to_q", "to_k", "to_v"), "txt_attn_qkv": ("add_q_proj", "add_k_proj", "add_v_proj")}
    rest = {"img_attn_proj": "attn.to_out.0", "txt_attn_proj": "attn.to_add_out", "img_mlp_0": "ff.net.0.proj", "img_mlp_2": "ff.net.2"}
    rest |= {"txt_mlp_0": "ff_context.net.0.proj", "txt_mlp_2": "ff_context.net.2", "img_mod_lin": "norm1.linear"}
    rest |= {"txt_mod_lin": "norm1_context.linear", "linear2": "proj_out", "modulation_lin": "norm.linear"}
    found = {}
    for name in {key.split(".")[0] for key in state}:
        match = re.fullmatch(r"lora_unet_(double|single)_blocks_(\d+)_(.+)", name)
        assert match, name
        down, up, alpha = (state[f"{name}.{part}"].double() for part in ("lora_down.weight", "lora_up.weight", "alpha"))
        delta = up @ down * alpha / down.shape[0]
        block = f"{'single_' if match[1] == 'single' else ''}transformer_blocks.{match[2]}."
        if match[3] in double:
            found |= {f"{block}attn.{n}": d for n, d in zip(double[match[3]], delta.split(width), strict=True)}
        elif match[3] == "linear1":
            parts = delta.split([width, width, width, 4 * width])
            found |= {f"{block}{n}": d for n, d in zip(("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"), parts, strict=True)}
        else:
            found[block + rest[match[3]]] = delta
    return found


@pytest.mark.parametrize("layers", ["attention", "attention+ff", "everything"])
@pytest.mark.parametrize("variant", ["lora", "rslora"])
def test_flux_under_the_names_of_the_original_adds_the_same_to_every_matrix(trained, toy_base, tmp_path, layers, variant):
    run = trained("flux/text_to_image", lora_variant=variant, lora_layers=layers)
    path = exported(run, tmp_path)
    pipeline = PLAIN["flux"].from_pretrained(toy_base("flux"))
    with torch.no_grad():
        for name, delta in split_flux(load_file(path), 32).items():
            pipeline.transformer.get_submodule(name).weight.add_(delta.float())
    assert furthest(draw(pipeline, **SQUARE), pixels(run.sample(3, 0))) <= 1
    assert metadata(path)["ss_network_module"] == "networks.lora_flux"


@pytest.fixture(scope="module")
def wide_flux(toy_base):
    """A Flux whose blocks are as wide as the real one's, because diffusers reads the original names at that width only."""
    small = PLAIN["flux"].from_pretrained(toy_base("flux"))
    shape = {**small.transformer.config, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 128, "num_attention_heads": 24}
    with torch.device("meta"):
        transformer = FluxTransformer2DModel.from_config({**shape, "axes_dims_rope": (16, 56, 56)})
    transformer.to_empty(device="cpu")
    numbers = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)) * 0.02
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            flat = parameter.view(-1)
            if parameter.ndim == 1:
                flat.fill_(1.0 if "norm" in name and "linear" not in name else 0.0)
            else:
                flat.copy_(numbers.repeat(-(-flat.numel() // len(numbers)))[: flat.numel()])
    return type(small)(**{**small.components, "transformer": transformer})


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["attention", "everything"])
def test_plain_diffusers_reads_the_original_names_at_real_width(wide_flux, tmp_path, layers):
    names = "|".join(re.escape(name) for name in FLUX_LORA_LAYERS[layers])
    random, state = torch.Generator().manual_seed(1), {}
    for name, module in wide_flux.transformer.named_modules():
        if re.fullmatch(rf"(single_)?transformer_blocks\.\d+\.(attn\.)?({names})", name):
            state[f"transformer.{name}.lora_A.weight"] = torch.randn(4, module.in_features, generator=random) * 0.05
            state[f"transformer.{name}.lora_B.weight"] = torch.randn(module.out_features, 4, generator=random) * 0.05
    save_file(state, tmp_path / "lora.safetensors", {"lora_adapter_metadata": '{"transformer.r": 4, "transformer.lora_alpha": 6.0}'})
    pictures = []
    for layout in ("", "diffusers", "kohya"):
        if layout:
            export(tmp_path / "lora.safetensors", tmp_path / f"{layout}.safetensors", layout)
            wide_flux.load_lora_weights(tmp_path, weight_name=f"{layout}.safetensors", adapter_name=f"read_{layout}")
        pictures.append(draw(wide_flux, width=32, height=32))
        wide_flux.unload_lora_weights()
    base, plain, original = pictures
    assert furthest(plain, original) <= 1 and furthest(plain, base) > 10


def test_a_dora_of_flux_keeps_its_lengths_or_is_refused(trained, tmp_path):
    path = exported(trained("flux/text_to_image", lora_variant="dora", lora_layers="attention+ff"), tmp_path)
    scales = {key: t for key, t in load_file(path).items() if key.endswith("dora_scale")}
    assert scales["lora_unet_single_blocks_0_linear1.dora_scale"].shape == (32 * 7, 1)
    with pytest.raises(DarkroomError, match="diffusers layout, or train attention"):
        exported(trained("flux/text_to_image", lora_variant="dora", lora_layers="attention"), tmp_path)


@pytest.mark.parametrize("name", ["sd15/text_to_image_full", "sdxl/text_to_image_full", "sd15/instruct_pix2pix", "sdxl/instruct_pix2pix"])
def test_one_file_under_the_original_names_is_the_whole_model(trained, tmp_path, name):
    run, family = trained(name), name.partition("/")[0]
    path, folder = exported(run, tmp_path, "file"), exported(run, tmp_path, "folder")
    kind = EDITING[family] if name.endswith("pix2pix") else PLAIN[family]
    one = kind.from_single_file(str(path), config=str(folder), local_files_only=True)
    two = kind.from_pretrained(folder)
    for component in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if hasattr(two, component):
            found, wanted = getattr(one, component).state_dict(), getattr(two, component).state_dict()
            assert found.keys() == wanted.keys()
            assert all(torch.equal(found[key].reshape(wanted[key].shape), wanted[key]) for key in wanted), component
    marks = {key for key in load_file(path) if key in ("v_pred", "ztsnr")}
    assert marks == {"v_pred", "ztsnr"}


def test_a_folder_has_the_settings_vae_and_prediction_and_any_precision(trained, toy_base, tmp_path):
    other = tmp_path / "vae"
    vae = PLAIN["sd15"].from_pretrained(toy_base("sd15")).vae
    torch.nn.init.constant_(vae.decoder.conv_out.bias, 0.25)
    vae.save_pretrained(other)
    run = trained("sd15/text_to_image_full", pretrained_vae_model_name_or_path=str(other), prediction_type="epsilon", sample_every=0)
    folder = exported(run, tmp_path, "folder", dtype="bf16")
    pipeline = PLAIN["sd15"].from_pretrained(folder)
    assert pipeline.scheduler.config.prediction_type == "epsilon"
    assert torch.equal(pipeline.vae.decoder.conv_out.bias, torch.full((3,), 0.25))
    assert {t.dtype for t in load_file(folder / "unet" / "diffusion_pytorch_model.safetensors").values()} == {torch.bfloat16}


def test_a_variant_of_the_base_gets_plain_names(trained, toy_base, tmp_path):
    base = tmp_path / "variant"
    PLAIN["sdxl"].from_pretrained(toy_base("sdxl")).save_pretrained(base, variant="fp16")
    run = trained("sdxl/text_to_image_full")
    folder = exported(run, tmp_path, "folder", base=str(base))
    assert not [path for path in folder.rglob("*.safetensors") if ".fp16." in path.name]
    assert furthest(draw(PLAIN["sdxl"].from_pretrained(folder), **SQUARE), pixels(run.sample(3, 0))) == 0


def test_what_cannot_be_laid_out_so_is_refused_with_the_way_out(trained, tmp_path):
    lora, whole = trained("sd15/text_to_image"), trained("sd15/text_to_image_full")
    for run, layout, way in ((lora, "folder", "kohya or diffusers"), (whole, "kohya", "folder or file")):
        with pytest.raises(DarkroomError, match=way):
            export(run.result, tmp_path / "out.safetensors", layout)
    (tmp_path / "there").mkdir()
    with pytest.raises(DarkroomError, match="is there already"):
        export(whole.result, tmp_path / "there", "folder")
    stray = tmp_path / "unet.safetensors"
    save_file(load_file(whole.result), stray, {"darkroom.component": "unet"})
    with pytest.raises(DarkroomError, match="--base"):
        export(stray, tmp_path / "out", "folder")
    with pytest.raises(DarkroomError, match="holds no UNet of"):
        save_file({"conv_in.weight": torch.zeros(9, 4, 3, 3)}, stray, {"darkroom.component": "unet"})
        export(stray, tmp_path / "out", "folder", base="pocket-sd15")
    notes = {"lora_adapter_metadata": "[1"}
    save_file(load_file(lora.result), tmp_path / "notes.safetensors", notes)
    with pytest.raises(DarkroomError, match="notes on rank and alpha"):
        export(tmp_path / "notes.safetensors", tmp_path / "out.safetensors", "kohya")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.safetensors").exists()


def test_dreambooth_writes_kohyas_file_at_the_end_where_asked(trained, tmp_path):
    run = trained("sd15/dreambooth", output_kohya_format=True, sample_every=0)
    found, wanted = load_file(run.root / "lora_kohya.safetensors"), load_file(exported(run, tmp_path))
    assert found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert not (trained("sd15/dreambooth").root / "lora_kohya.safetensors").exists()


def test_the_recipe_goes_along(trained, tmp_path):
    kept = metadata(exported(trained("flux/text_to_image"), tmp_path))
    assert json.loads(kept["darkroom.recipe"])["backend"] == "flux/text_to_image"
    assert (kept["ss_network_dim"], kept["ss_network_alpha"]) == ("2", "3")  # of one module, as it was trained
