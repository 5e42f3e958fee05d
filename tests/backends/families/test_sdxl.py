"""SDXL as the trainer sees it: what it encodes, what it tells the UNet, and the file that it leaves behind."""

from __future__ import annotations

import json

import pytest
import safetensors
import torch
from diffusers import StableDiffusionXLPipeline

from backends.contract.base_models import MODELS
from backends.contract.buckets import Bucket, compute_placement
from backends.contract.settings.lora import UNET_LORA_LAYERS
from backends.engine.adapters import Adapters, AdapterShape
from backends.engine.checkpoint import write_weights
from backends.families.protocol import LoadOptions, SampleRequest
from backends.families.sdxl import EMBEDDING, POOLED, TIME_IDS, Sdxl

POCKET = str(MODELS / "pocket-sdxl")


def load(**options) -> Sdxl:
    return Sdxl.load(LoadOptions(source=POCKET, device=torch.device("cpu"), dtype=torch.float32, **options))


@pytest.fixture(scope="module")
def family() -> Sdxl:
    return load()


def test_prompts_are_encoded_as_the_pipeline_does(family):
    pipeline = StableDiffusionXLPipeline.from_pretrained(POCKET, dtype=torch.float32)
    wanted, _, pooled, _ = pipeline.encode_prompt(["zog on a red background", ""], do_classifier_free_guidance=False)
    found = family.encode_prompts(["zog on a red background", ""])
    torch.testing.assert_close(found[EMBEDDING], wanted)
    torch.testing.assert_close(found[POOLED], pooled)


def test_size_and_cut_are_told_as_height_first_and_mirrored_with_the_picture(family):
    placement = compute_placement(300, 128, Bucket(128, 128))
    upright, mirrored = (family.picture_conditions(300, 128, placement, flipped)[TIME_IDS].tolist() for flipped in (False, True))
    assert upright == [128, 300, 0, 86, 128, 128]
    assert mirrored == [128, 300, 0, 86, 128, 128]
    odd = compute_placement(301, 128, Bucket(128, 128))
    assert [family.picture_conditions(301, 128, odd, f)[TIME_IDS][3].item() for f in (False, True)] == [86, 87]


def test_the_same_seed_draws_the_same_picture_whoever_stands_beside_it(family):
    def draw(texts: list[str], seeds: list[int]):
        conditions, negative = family.encode_prompts(texts), family.encode_prompts([""] * len(texts))
        request = SampleRequest(conditions, negative, seeds, width=128, height=96, steps=2, guidance_scale=3.0, is_cancelled=lambda: False)
        return family.sample(request)

    alone = draw(["a cat on a blue background"], [7])[0]
    together = draw(["a pizza", "a cat on a blue background"], [3, 7])[1]
    assert alone.size == (128, 96)
    difference = torch.tensor(list(alone.convert("L").tobytes())).float() - torch.tensor(list(together.convert("L").tobytes())).float()
    assert difference.abs().max() <= 1


def test_another_vae_or_encoder_changes_the_identity(family):
    other = load()
    assert (other.picture_identity(), other.prompt_identity()) == (family.picture_identity(), family.prompt_identity())
    with torch.no_grad():
        other.vae.quant_conv.weight += 1
        other._pipeline.text_encoder_2.text_projection.weight += 1
    assert other.picture_identity() != family.picture_identity()
    assert other.prompt_identity() != family.prompt_identity()


@pytest.mark.parametrize("text_encoders", [False, True])
@pytest.mark.parametrize("layers", list(UNET_LORA_LAYERS))
def test_every_saved_tensor_is_loaded_with_its_strength(tmp_path, layers, text_encoders):
    """A LoRA whose alpha is not its rank, reloaded by diffusers, predicts what it predicted in training."""
    trained = load()
    adapters = Adapters(trained.adapter_targets(layers, text_encoders=text_encoders), AdapterShape(4, 8.0), seed=0)
    for number, parameter in enumerate(adapters.parameters()):
        torch.nn.init.normal_(parameter, std=0.02, generator=torch.Generator().manual_seed(number))
    write_weights(tmp_path / "lora.safetensors", adapters.state(), {**trained.metadata(), **adapters.notes()})

    reloaded = load()
    base = reloaded.predict(*question(reloaded))
    reloaded._pipeline.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    names = [
        n for m in (reloaded.unet, reloaded._pipeline.text_encoder, reloaded._pipeline.text_encoder_2) for n, _ in m.named_parameters()
    ]
    assert sum("lora_" in name for name in names) == len(adapters.state())
    wanted, found = trained.predict(*question(trained)), reloaded.predict(*question(reloaded))
    torch.testing.assert_close(found, wanted)
    assert (found - base).abs().max() > 1e-3


def question(family: Sdxl):
    conditions = family.encode_prompts(["zog on a red background"]) | {TIME_IDS: torch.tensor([[128.0, 128, 0, 0, 128, 128]])}
    noisy = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    return noisy, torch.tensor([500]), conditions


def test_every_trained_part_gets_a_gradient_with_text_encoders():
    """A part without one would stop distributed training."""
    family = load()
    adapters = Adapters(family.adapter_targets("everything", text_encoders=True), AdapterShape(2, 2.0), seed=0)
    noisy, timesteps, _ = question(family)
    conditions = family.tokenize(["zog on a red background"]) | {TIME_IDS: torch.tensor([[128.0, 128, 0, 0, 128, 128]])}
    family.predict(noisy, timesteps, conditions).sum().backward()
    assert [name for name, parameter in adapters.named_parameters().items() if parameter.grad is None] == []


def test_the_header_has_the_recipe_and_no_path(tmp_path):
    adapters = Adapters(load().adapter_targets("attention", text_encoders=False), AdapterShape(4, 4.0), seed=0)
    write_weights(tmp_path / "a.safetensors", adapters.state(), {**adapters.notes()})
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        header = json.loads(file.metadata()["lora_adapter_metadata"])
    assert header["unet.r"] == 4 and header["unet.lora_alpha"] == 4.0
    assert str(MODELS) not in json.dumps(header)
