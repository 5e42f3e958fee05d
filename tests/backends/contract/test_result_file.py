"""What a file of weights is, told from its header: our own, and other programs'."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from backends.contract.errors import DarkroomError
from backends.contract.result_file import read_result

RECIPE = {"darkroom.recipe": json.dumps({"backend": "sd15/dreambooth", "config": {"pretrained_model_name_or_path": "pocket-sd15"}})}


def tell(tmp_path, tensors, notes=None):
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, notes)
    return read_result(path)[1]


def unet(into=4, out=4, **more):
    return {"conv_in.weight": torch.zeros(8, into, 3, 3), "conv_out.weight": torch.zeros(out, 8, 3, 3), **more}


def test_a_lora_tells_its_base_and_family_by_its_recipe(tmp_path):
    notes = {**RECIPE, "modelspec.architecture": "stable-diffusion-v1/lora", "modelspec.trigger_phrase": "zog"}
    facts = tell(tmp_path, {"unet.a.lora_A.weight": torch.zeros(2, 2)}, notes)
    assert (facts.kind, facts.family, facts.base_model, facts.trigger_word) == ("lora", "sd15", "pocket-sd15", "zog")
    assert facts.origin == "Pocket 1.5" and not facts.whole


@pytest.mark.parametrize(
    ("tensors", "kind", "family"),
    [
        (unet(), "model", ""),
        (unet(8), "edit", ""),
        (unet(**{"add_embedding.linear_1.weight": torch.zeros(2, 2)}), "model", "sdxl"),
        ({"transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight": torch.zeros(2, 2)}, "lora", "flux"),
        ({"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": torch.zeros(4, 768)}, "lora", "sd15"),
    ],
)
def test_files_of_other_programs_are_told_by_their_tensors(tmp_path, tensors, kind, family):
    facts = tell(tmp_path, tensors)
    assert (facts.kind, facts.family) == (kind, family)


@pytest.mark.parametrize("recipe", ["", "no json", "[]", '{"config": 5}', '{"config": {}}'])
def test_a_broken_recipe_tells_nothing_and_breaks_nothing(tmp_path, recipe):
    facts = tell(tmp_path, {"unet.a.lora_A.weight": torch.zeros(2, 2)}, {"darkroom.recipe": recipe, "ss_sd_model_name": "own-base"})
    assert facts.base_model == "own-base"


def test_a_checkpoint_in_one_file_is_a_base_model(tmp_path):
    path = tmp_path / "all.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(DarkroomError, match="“all.safetensors” is a whole checkpoint .* Give it as the base model instead"):
        read_result(path)
