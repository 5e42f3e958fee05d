"""What cannot become a training is refused before its first step: one sentence with the value, the rule and the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EDMEulerScheduler
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine.ground import check_gpus
from tests.backends import toys
from tests.backends.engine import toy


def refusal(run: RunDir) -> str:
    """The reason that the page shows."""
    assert toy.train(run) == 1, run.log.read_text()
    assert not toy.events_of(run, "step")
    reason = str(toy.last_state(run)["reason"])
    assert "Traceback" not in reason and "Error" not in reason and reason.endswith("."), reason
    return reason


def pair_folder(folder: Path, *lines: dict[str, Any]) -> Path:
    toys.draw_pairs(folder, [(64, 64)] * 3)
    Image.new("RGB", (64, 32)).save(folder / "wide.png")
    usual = [{"input_image": f"before/0{n}.png", "instruction": "make it red", "output_image": f"after/0{n}.png"} for n in range(2)]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (*usual, *lines)))
    return folder


PAIRS = {
    "two sizes": (
        {"input_image": "wide.png", "instruction": "x", "output_image": "after/02.png"},
        ["wide.png", "64 × 32", "64 × 64", "Cut or scale"],
    ),
    "no picture after": ({"input_image": "before/02.png", "instruction": "x"}, ["Line 3", "output_image"]),
    "a half that is gone": ({"input_image": "gone.png", "instruction": "x", "output_image": "after/02.png"}, ["Line 3", "gone.png"]),
    "no instruction": (
        {"input_image": "before/02.png", "instruction": " ", "output_image": "after/02.png"},
        ["02.png", "no instruction", "remove the pair"],
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_that_are_none(toy_base, tmp_path, case):
    line, words = PAIRS[case]
    folder = pair_folder(tmp_path / "pairs", line)
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", rows=[], train_data_dir=str(folder))
    run.manifest.unlink()
    reason = refusal(run)
    assert all(word in reason for word in words), reason


def test_a_folder_of_pairs_without_its_list(toy_base, tmp_path):
    toys.draw_pairs(tmp_path / "pairs", [(64, 64)] * 2)
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", rows=[], train_data_dir=str(tmp_path / "pairs"))
    run.manifest.unlink()
    assert "metadata.jsonl" in refusal(run)


CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "4 bits on a CPU": ("sdxl/text_to_image", {"quantize_base": "nf4"}, ["nf4", "GPU", "int8, or none"]),
    "fp16 on a CPU": ("flux/text_to_image", {"mixed_precision": "fp16"}, ["fp16", "needs a GPU", "bf16"]),
    "class pictures in fp16 on a CPU": (
        "sd15/dreambooth",
        {**toy.PRIOR, "prior_generation_precision": "fp16"},
        ["class pictures is fp16", "bf16"],
    ),
    "no words for a subject": ("sd15/dreambooth", {"instance_prompt": " "}, ["has no caption", "Give a prompt"]),
    "no such picture for samples": (
        "sd15/instruct_pix2pix",
        {"val_image": "/no/such.png", "sample_prompts": ["x"]},
        ["such.png", "is not there"],
    ),
    "class pictures in a file": ("sd15/dreambooth", {**toy.PRIOR, "class_data_dir": "/dev/null"}, ["/dev/null", "class pictures"]),
    "all held out": ("sd15/text_to_image", {}, ["held out", "Add pictures"]),
}


@pytest.mark.parametrize("case", CASES)
def test_settings_that_this_machine_or_these_pictures_cannot_do(toy_base, tmp_path, case):
    if case.endswith("on a CPU") and torch.cuda.is_available():
        pytest.skip("a GPU can do this")
    backend, settings, words = CASES[case]
    rows = toys.draw_pictures(tmp_path / "own", [(64, 64)] * 3) if "pix2pix" not in backend else None
    if case == "all held out":
        rows = [{**row, "held_out": True} for row in rows or []]
    if case == "no words for a subject":
        rows = [{**row, "caption": ""} for row in rows or []]
    run = toy.make_run(tmp_path / "run", toy_base(backend.partition("/")[0]), backend, rows=rows, **settings)
    reason = refusal(run)
    assert all(word in reason for word in words), reason


@pytest.mark.parametrize(("setting", "title"), [({"snr_gamma": 5.0}, "Min-SNR gamma is 5"), ({"noise_offset": 0.1}, "Noise offset is 0.1")])
def test_weights_of_other_noise_levels_on_a_base_of_edm(tmp_path, setting, title):
    base = toys.build_base(tmp_path / "edm")
    EDMEulerScheduler().save_pretrained(base / "scheduler")
    index = base / "model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "EDMEulerScheduler"))
    reason = refusal(toy.make_run(tmp_path / "run", base, **setting))
    assert title in reason and "EDM" in reason and "off" in reason


def test_a_base_that_predicts_the_picture_itself(tmp_path):
    base = toys.build_base(tmp_path / "sample", "sd15")
    config = base / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"v_prediction"', '"sample"'))
    reason = refusal(toy.make_run(tmp_path / "run", base, "sd15/text_to_image"))
    assert "predicts sample" in reason and "epsilon and v_prediction" in reason


def test_a_checkpoint_of_another_kind_of_lora(toy_base, tmp_path):
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/text_to_image")
    assert toy.train(run, fault="step.end=kill9@3") == -9
    run.config.write_text(run.config.read_text().replace("rank: 2", "rank: 4"))
    assert toy.train(run, "--resume", "latest") == 1
    assert "rank was 2, is 4" in toy.last_state(run)["reason"]


@pytest.mark.parametrize(("started", "there"), [(2, 1), (8, 4)])
def test_more_processes_than_gpus(started, there):
    with pytest.raises(DarkroomError, match=f"{started} processes.* {there} GPU.*Set GPUs to {there}"):
        check_gpus(started, there)


def test_processes_that_share_a_cpu_or_have_a_gpu_each_are_welcome():
    for started, there in ((2, 0), (1, 1), (4, 8)):
        check_gpus(started, there)


@pytest.mark.parametrize("optimizer", ["prodigy"])
def test_what_prodigy_makes_of_learning_rates_is_said(toy_base, tmp_path, optimizer):
    settings = {"optimizer": optimizer, "learning_rate": 1e-4, "train_text_encoder": True, "text_encoder_lr": 1e-5, "max_train_steps": 1}
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/text_to_image", **settings)
    assert toy.train(run) == 0, run.log.read_text()
    told = " ".join(e["text"] for e in toy.events_of(run, "notice"))
    assert "Set it to 1" in told and "1e-05, is not used" in told
