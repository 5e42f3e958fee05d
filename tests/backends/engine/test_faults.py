"""Every fault ends as one plain sentence in the events; the traceback stays in the log."""

from __future__ import annotations

import errno
import shutil

import pytest
import safetensors.torch
import torch

from backends.contract.errors import DarkroomError
from backends.engine.faults import parse_faults
from backends.train import explain
from tests.backends.engine import toy


def reason_of(run) -> str:
    state = toy.last_state(run)
    assert state["state"] == "failed"
    assert "Traceback" not in state["reason"]
    return state["reason"]


def test_running_out_of_memory_is_told_with_what_to_do(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    assert toy.train(run, fault="step.after_forward=oom@3") == 1
    reason = reason_of(run)
    assert "Not enough memory" in reason and "batch size" in reason
    assert "Traceback" in run.log.read_text()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DarkroomError("The one sentence."), ["The one sentence."]),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), ["Not enough memory on the GPU", "batch size"]),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), ["Not enough memory on this machine"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["disk is full", "resume"]),
        (PermissionError(13, "Permission denied", "/x/y"), ["/x/y may not be written"]),
        (KeyError("unknown"), ["KeyError", "log"]),
    ],
)
def test_faults_are_told_apart(error, words):
    assert all(word in explain(error) for word in words)


def test_a_base_model_that_is_not_here_is_told_with_the_ways_out(finished, tmp_path):
    run = toy.make_run(tmp_path / "run", "nobody/has-this")
    assert toy.train(run) == 1
    reason = reason_of(run)
    assert "nobody/has-this" in reason and "HF_HUB_OFFLINE forbids" in reason and "Pocket" in reason


def test_a_base_model_of_another_family_is_named(base, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    run = toy.make_run(tmp_path / "run", other)
    assert toy.train(run) == 1
    assert "“other” is a Flux; SDXL is needed here" in reason_of(run)


def test_a_picture_that_is_gone_is_named(base, tmp_path):
    run = toy.make_run(tmp_path / "run", base)
    (run.root / "own" / "03.png").unlink()
    assert toy.train(run) == 1
    assert "03.png" in reason_of(run)


def test_no_pictures_at_all(base, tmp_path):
    run = toy.make_run(tmp_path / "run", base)
    run.manifest.unlink()
    assert toy.train(run) == 1
    assert "train_data_dir" in reason_of(run)


def test_more_processes_asked_for_than_started_is_refused(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(run.config.read_text().replace("num_processes: 1", "num_processes: 2"))
    assert toy.train(run) == 1
    assert "2 processes were asked for" in reason_of(run) and "--num_processes 2" in reason_of(run)


def test_samples_that_fail_never_end_the_training(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(
        run.config.read_text().replace("sample_every: 0", "sample_every: 2").replace("sample_prompts: []", "sample_prompts: [zog]")
    )
    assert toy.train(run, fault="sample.batch=raise@2") == 0
    assert [e["step"] for e in toy.events_of(run, "sample")] == [0, 4, 6]
    assert any("step 2" in e["text"] and "goes on" in e["text"] for e in toy.events_of(run, "notice"))
    assert toy.difference(run.result, finished.result) == 0


def test_a_loss_that_is_not_a_number_is_left_out_and_ends_the_run_after_five(base, tmp_path):
    poison_unet(base, tmp_path / "poisoned")
    run = toy.make_run(tmp_path / "run", tmp_path / "poisoned", max_train_steps=40, checkpointing_steps=4, log_every=1)
    assert toy.train(run) == 1
    assert "not a number 5 times" in reason_of(run)
    assert [e["loss"] for e in toy.events_of(run, "step")] == [None] * 5
    untouched = safetensors.torch.load_file(run.weights(4))
    assert all(not tensor.any() for name, tensor in untouched.items() if "lora_B" in name)


def poison_unet(base, folder) -> None:
    """A copy of the base model whose UNet gives no numbers."""
    shutil.copytree(base, folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["conv_out.bias"][:] = float("nan")
    safetensors.torch.save_file(tensors, path)


def test_a_failpoint_that_is_misspelt_is_refused():
    with pytest.raises(ValueError, match="explode"):
        parse_faults("save.begin=explode")
