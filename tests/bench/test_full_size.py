from __future__ import annotations

import pytest
import torch

from bench import full_size
from bench.full_size import JOBS, Machine, choose_machine, count_job, make_case, measure_job, small_sizes, try_job
from bench.random_models import build_random

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch) -> Machine:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("DIFFUSERS_SCRIPT", raising=False)
    return Machine(CPU, torch.float32, small_sizes(), 0.01)


@pytest.mark.parametrize("name", ["sd15_instruct_pix2pix", "flux_dreambooth"])
def test_a_job_steps_a_random_base_and_says_what_a_step_took(small, tmp_path, name):
    case = make_case(JOBS[name], 1, tmp_path, small=True)
    told = measure_job(small, case, JOBS[name], steps=1, rounds=1)
    assert told["ours steps/s"] > 0 < told["bare steps/s"]
    assert told["share of the bare loop's speed"] == pytest.approx(told["ours steps/s"] / told["bare steps/s"], rel=0.01)
    assert told["mfu"] == pytest.approx(told["tflop a step"] * told["ours steps/s"] / small.peak_tflops, rel=0.2)


def test_a_base_that_this_machine_cannot_store_is_left_out_with_the_reason(small, tmp_path):
    job = JOBS["flux_dreambooth_nf4"]
    told = try_job(small, make_case(job, 1, tmp_path, small=True), job, steps=1, rounds=1, checkpointing=False)
    assert "needs an NVIDIA GPU" in told["not measured"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_claimed():
    with pytest.raises(SystemExit, match="no CUDA GPU"):
        choose_machine("full", None)


def test_a_step_of_sd15_at_512_px_takes_what_the_architecture_says():
    """2.41 TFLOP for forward and backward of all weights (three times the 0.80 of the forward pass), 2 x 1.12 for both pictures."""
    told = count_job(JOBS["sd15_instruct_pix2pix"])
    assert told["tflop a step"] == pytest.approx(2.41, abs=0.01)
    assert told["to encode"] == pytest.approx(2.24, abs=0.02)


def test_random_weights_give_finite_numbers():
    pipeline = build_random("sdxl", device=CPU, dtype=torch.float32, sizes=small_sizes()["sdxl"])
    assert all(torch.isfinite(p).all() for p in pipeline.unet.parameters())
    width = pipeline.unet.config.cross_attention_dim
    told = {"text_embeds": torch.randn(1, 64), "time_ids": torch.zeros(1, 6)}
    found = pipeline.unet(torch.randn(1, 4, 8, 8), 500, torch.randn(1, 77, width), added_cond_kwargs=told).sample
    assert torch.isfinite(found).all()
    assert found.std() > 0


@pytest.mark.parametrize(("card", "peak"), [("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA RTX A4000", None)])
def test_the_peak_is_that_of_the_card(monkeypatch, card, peak):
    monkeypatch.setattr(full_size.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(full_size.torch.cuda, "get_device_name", lambda device: card)
    assert choose_machine("full", None).peak_tflops == peak
    assert choose_machine("full", 42).peak_tflops == 42
