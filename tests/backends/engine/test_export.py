"""The layouts of other programs. That they draw the same picture is shown in tests/backends/generate."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backends.contract.errors import DarkroomError
from backends.engine.export import export_adapter
from tests.adapters import EVERYTHING, write_adapter


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("export") / "lora.safetensors", 1, rank=4, alpha=6, layers=EVERYTHING, text=True)


def metadata(path):
    with safe_open(str(path), "pt") as file:
        return file.metadata()


def test_kohya_names_every_module_with_its_factors_and_its_own_alpha(source, tmp_path):
    export_adapter(source, tmp_path / "out.safetensors", "kohya")
    before, after = load_file(source), load_file(tmp_path / "out.safetensors")
    assert len(after) == len(before) // 2 * 3
    assert {float(t) for k, t in after.items() if k.endswith(".alpha")} == {6.0}
    down = "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    key = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    assert torch.equal(after[f"lora_unet_{down}.lora_down.weight"], before[f"{key}.lora_A.weight"])
    assert torch.equal(after[f"lora_unet_{down}.lora_up.weight"], before[f"{key}.lora_B.weight"])


def test_the_first_text_encoder_gets_back_the_name_that_comfyui_and_a1111_look_for(source, tmp_path):
    export_adapter(source, tmp_path / "out.safetensors", "kohya")
    names = {key.split(".")[0] for key in load_file(tmp_path / "out.safetensors")}
    for prefix in ("lora_te1_", "lora_te2_"):
        own = {n for n in names if n.startswith(prefix)}
        assert own and all(n.startswith(f"{prefix}text_model_encoder_layers_") for n in own)


def test_the_recipe_stays_and_what_only_peft_reads_goes(source, tmp_path):
    export_adapter(source, tmp_path / "out.safetensors", "kohya")
    kept = metadata(tmp_path / "out.safetensors")
    assert kept["modelspec.trigger_phrase"] == "zog"
    assert (kept["ss_network_module"], kept["ss_network_dim"], kept["ss_network_alpha"]) == ("networks.lora", "4", "6")
    assert "lora_adapter_metadata" not in kept


def test_the_diffusers_layout_keeps_every_tensor_and_its_notes(source, tmp_path):
    export_adapter(source, tmp_path / "out.safetensors", "diffusers")
    before, after = load_file(source), load_file(tmp_path / "out.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert metadata(tmp_path / "out.safetensors").keys() == metadata(source).keys()


def test_rank_stabilised_scaling_and_alpha_patterns_become_the_alpha_that_gives_the_same_strength(tmp_path):
    import json

    module = "unet.mid_block.attentions.0.transformer_blocks.0.attn1"
    state = {
        f"{module}.{n}.lora_{s}.weight": torch.ones(4, 128) if s == "A" else torch.ones(128, 4) for n in ("to_q", "to_k") for s in "AB"
    }
    settings = {"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": True, "unet.alpha_pattern": {"attn1.to_k": 2}}
    save_file(state, tmp_path / "in.safetensors", {"lora_adapter_metadata": json.dumps(settings)})
    export_adapter(tmp_path / "in.safetensors", tmp_path / "out.safetensors", "kohya")
    alphas = {k.split("attn1_")[1]: float(t) for k, t in load_file(tmp_path / "out.safetensors").items() if k.endswith(".alpha")}
    assert alphas == {"to_q.alpha": 8 / 2 * 4, "to_k.alpha": 2 / 2 * 4}  # peft: alpha / sqrt(4); kohya: alpha / 4


def test_other_users_may_read_the_file_as_the_umask_says(source, tmp_path):
    before = os.umask(0o022)
    try:
        export_adapter(source, tmp_path / "out.safetensors", "kohya")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.safetensors").stat().st_mode) == 0o644


def test_a_lora_that_is_not_finite_or_learnt_nothing_is_refused_and_nothing_is_written(source, tmp_path):
    state, notes = load_file(source), metadata(source)
    key = sorted(k for k in state if "lora_A" in k)[0]
    broken = {**state, key: state[key].clone().fill_(float("inf"))}
    empty = {k: torch.zeros_like(t) if "lora_B" in k else t for k, t in state.items()}
    for name, values, reason in (("inf", broken, "not finite"), ("zero", empty, "learnt nothing")):
        save_file(values, tmp_path / f"{name}.safetensors", notes)
        with pytest.raises(DarkroomError, match=reason):
            export_adapter(tmp_path / f"{name}.safetensors", tmp_path / "out.safetensors", "kohya")
    assert not (tmp_path / "out.safetensors").exists()


def test_the_command_writes_the_file_or_tells_the_reason(source, tmp_path):
    command = [sys.executable, "-m", "backends.engine.export", str(source), str(tmp_path / "out.safetensors"), "--layout", "kohya"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert (tmp_path / "out.safetensors").is_file()
    command[3] = str(tmp_path / "none.safetensors")
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert failed.returncode == 2 and "is not there any more" in failed.stderr and "Traceback" not in failed.stderr
