"""A model that is divided over processes (FSDP2) learns what a whole one learns, is judged, drawn with, saved and resumed like it."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from diffusers import UNet2DConditionModel
from PIL import Image

from backends.contract.launch import LaunchSettings, write_launch
from backends.contract.rundir import RunDir
from backends.engine import checkpoint as checkpoints
from tests.backends.engine import toy

pytestmark = pytest.mark.slow
DIVIDED = LaunchSettings(distribution="fsdp2")
KINDS: dict[str, dict[str, Any]] = {
    "sd15/instruct_pix2pix": {"use_ema": True, "conditioning_dropout_prob": 0.2, "sample_every": 1, "num_sample_pairs": 1},
    # Four rows of a tensor over three processes: two, two and none.
    "sdxl/text_to_image_full": {
        "num_processes": 3,
        "optimizer": "schedule_free",
        "gradient_checkpointing": True,
        "gradient_accumulation_steps": 2,
        "max_grad_norm": 0.01,
        "cache_latents": False,
    },
}
LIMIT = 2e-5
"""Largest difference of a gradient's value, relative to the largest value of its tensor: sums that were rounded in another order."""


@pytest.fixture(scope="module", params=KINDS)
def shared(request, toy_base, tmp_path_factory) -> toy.Trained:
    """Three steps by processes that share one model."""
    base = toy_base(request.param.partition("/")[0])
    settings = {
        "num_processes": 2,
        **KINDS[request.param],
        "max_train_steps": 3,
        "checkpointing_steps": 1,
        "held_out_every": 1,
        "debug_loss": True,
    }
    run = toy.make_run(tmp_path_factory.mktemp("divided") / "run", base, request.param, **settings)
    write_launch(run, DIVIDED)
    assert toy.train_ranks(run, ranks=settings["num_processes"]) == [0] * settings["num_processes"], run.log.read_text()
    return toy.Trained(run, request.param, {"pretrained_model_name_or_path": str(base), **settings})


@pytest.fixture(scope="module")
def alone(shared, tmp_path_factory) -> RunDir:
    """The same by one process with their batches together."""
    settings = {**shared.settings, "train_batch_size": 2 * shared.settings["num_processes"], "max_train_steps": 1, "num_processes": 1}
    run = toy.make_run(tmp_path_factory.mktemp("alone") / "run", settings.pop("pretrained_model_name_or_path"), shared.backend, **settings)
    run.manifest.write_text(shared.run.manifest.read_text())
    assert toy.train(run) == 0, run.log.read_text()
    return run


def state_of(run: RunDir, step: int) -> dict[str, Any]:
    return safetensors.torch.load_file(run.checkpoint(step) / checkpoints.STATE_TENSORS)


def test_each_process_keeps_its_share_of_the_numbers(shared):
    told = re.findall(r"this one keeps ([\d,]+) of ([\d,]+) numbers", shared.run.log.read_text())
    own, totals = ([int(numbers[place].replace(",", "")) for numbers in told] for place in (0, 1))
    assert len(told) == shared.settings["num_processes"] and sum(own) == totals[0] == totals[-1]
    assert max(own) < 1.15 * totals[0] / shared.settings["num_processes"]


def test_it_learns_what_one_process_with_their_batches_together_learns(shared, alone):
    one, two = state_of(alone, 1), state_of(shared.run, 1)
    assert one.keys() == two.keys()
    told = "/exp_avg" if shared.settings.get("optimizer", "AdamW") == "AdamW" else "/exp_avg_sq"
    gradients = {key: value for key, value in one.items() if key.endswith(told)}
    assert sum(bool(value.any()) for value in gradients.values()) >= len(gradients) / 2
    for key, value in gradients.items():
        assert (two[key] - value).abs().max() <= LIMIT * value.abs().max(), key


def test_it_is_judged_and_draws_as_one_process(shared, alone):
    judged = [{e["step"]: e["loss"] for e in toy.events_of(run, "eval")} for run in (alone, shared.run)]
    assert [*judged[1]] == [0, 1, 2, 3]
    assert max(abs(judged[0][step] / judged[1][step] - 1) for step in judged[0]) < 1e-6
    assert alone.picture_losses.is_file() and shared.run.picture_losses.is_file()
    drawn = [
        {p.relative_to(run.root): np.asarray(Image.open(p)).astype(int) for p in run.root.glob("samples/*/*.png")}
        for run in (alone, shared.run)
    ]
    assert bool(drawn[0]) == bool(shared.settings.get("sample_every")) and drawn[0].keys() <= drawn[1].keys()
    assert all(np.abs(picture - drawn[1][name]).max() <= 1 for name, picture in drawn[0].items())


def test_its_file_is_that_of_a_whole_model_and_loads_in_diffusers(shared, alone, tmp_path):
    one, two = (safetensors.torch.load_file(run.result) for run in (alone, shared.run))
    assert {k: (v.shape, v.dtype) for k, v in one.items()} == {k: (v.shape, v.dtype) for k, v in two.items()}
    shutil.copy(f"{shared.settings['pretrained_model_name_or_path']}/unet/config.json", tmp_path)
    shutil.copy(shared.run.result, tmp_path / "diffusion_pytorch_model.safetensors")
    wide = {"in_channels": two["conv_in.weight"].shape[1]}  # room for the picture that is edited
    loaded = UNet2DConditionModel.from_pretrained(tmp_path, **wide).state_dict()
    assert loaded.keys() == two.keys() and all((loaded[key] == value).all() for key, value in two.items())


def test_killed_and_resumed_it_ends_bit_for_bit_as_if_it_had_not_been(shared, tmp_path):
    """The second attempt fails to draw on rank 0, for which alone the weights are gathered: the others must not notice."""
    run = toy.copy_run(shared.run, tmp_path / "run")
    write_launch(run, DIVIDED)
    micro = 3 * shared.settings.get("gradient_accumulation_steps", 1)
    codes = toy.train_ranks(run, ranks=shared.settings["num_processes"], fault=f"step.after_backward=kill9@{micro}#1")
    assert codes[1] == -9 and codes[0] != 0
    codes = toy.train_ranks(run, "--resume", "latest", ranks=shared.settings["num_processes"], fault="sample.batch=raise@1#0")
    assert codes == [0] * shared.settings["num_processes"], run.log.read_text()
    assert toy.difference(run.result, shared.run.result) == 0
    for name in (checkpoints.STATE_TENSORS, shared.run.result.name):
        assert toy.difference(run.checkpoint(3) / name, shared.run.checkpoint(3) / name) == 0
    assert [e["loss"] for e in toy.events_of(run, "eval")][-1] == [e["loss"] for e in toy.events_of(shared.run, "eval")][-1]


def test_a_whole_model_goes_on_where_a_divided_one_stopped(shared, tmp_path):
    run = toy.copy_run(shared.run, tmp_path / "run")
    shutil.copytree(shared.run.checkpoint(2), run.checkpoint(2))
    codes = toy.train_ranks(run, "--resume", "latest", ranks=shared.settings["num_processes"])
    assert codes == [0] * shared.settings["num_processes"], run.log.read_text()
    ended, other = state_of(run, 3), state_of(shared.run, 3)
    assert all((other[k] - v).abs().max() <= 1e-3 * v.abs().max() for k, v in ended.items() if k.endswith("/exp_avg_sq"))


def test_a_lora_is_refused_before_anything_is_loaded(base, tmp_path):
    run = toy.make_run(tmp_path / "run", base, num_processes=2)
    write_launch(run, DIVIDED)
    assert toy.train_ranks(run) == [1, 1]
    assert "nothing to divide but its frozen base model. Choose ddp" in toy.last_state(run)["reason"]
