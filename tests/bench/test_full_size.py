from __future__ import annotations

import json

import pytest
import torch

from bench import full_size
from bench.counting import count_words
from bench.diffusers_script import CHECKOUT
from bench.full_size import (
    JOBS,
    Machine,
    Measured,
    choose_machine,
    compare,
    count_job,
    make_case,
    measure_job,
    small_sizes,
    time_each,
    time_script,
    try_job,
)
from bench.random_models import build_random
from tests.bench.program import write_program

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch) -> Machine:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv(CHECKOUT, raising=False)
    return Machine(CPU, torch.float32, small_sizes(), 0.01)


@pytest.mark.parametrize("name", ["sd15_instruct_pix2pix", "flux_dreambooth"])
def test_a_job_steps_a_random_base_and_says_what_a_step_took(small, tmp_path, name):
    case = make_case(JOBS[name], 1, tmp_path, small=True)
    told = measure_job(small, case, JOBS[name], steps=1, rounds=1)
    assert told["ours steps/s"] > 0 < told["bare steps/s"]
    assert told["share of the bare loop's speed"] == pytest.approx(told["ours steps/s"] / told["bare steps/s"], rel=0.01)
    assert told["ours peak MiB, building included"] >= told["ours peak MiB, steps"] > 0
    assert told["mfu"] == pytest.approx(told["tflop a step"] * told["ours steps/s"] / small.peak_tflops, rel=0.2)


def test_a_loop_without_room_leaves_the_figures_of_the_others():
    def no_room():
        raise torch.OutOfMemoryError("no room for it\nand much more to say")

    seconds, told = time_each({"ours": lambda: Measured(0.5, 70, 90), "bare": no_room, "script": lambda: Measured(2.0, 80, 80)})
    assert told["bare not measured"] == "no room for it"
    assert (told["ours steps/s"], told["ours peak MiB, steps"], told["ours peak MiB, building included"]) == (2.0, 70, 90)
    compared = compare(seconds, 10**12, 4)
    assert (compared["ours/script"], compared["mfu"]) == (0.25, 0.5) and "share of the bare loop's speed" not in compared


def test_a_script_saves_memory_as_ours_does_and_its_lack_of_room_is_known(small, tmp_path):
    known, ending = ["rank", "mixed_precision", "gradient_checkpointing", "caption_column"], "raise torch.OutOfMemoryError('no room')"
    path = write_program(tmp_path, known, steps=4, ending=ending)
    case = make_case(JOBS["sdxl_text_to_image"], 1, tmp_path, small=True)
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        time_script(small, case, path, steps=1, rounds=1, checkpointing=True)
    given = json.loads((tmp_path / "script" / "out" / "told.json").read_text())
    assert given["gradient_checkpointing"] == "on"


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
    assert told["to encode pictures"] == pytest.approx(2.24, abs=0.02)


def test_captions_of_flux_are_read_by_the_large_t5(tmp_path):
    """4.76 thousand million weights, two operations each for 512 words."""
    case = make_case(JOBS["flux_dreambooth"], 1, tmp_path)
    assert count_words(case) / 1e12 == pytest.approx(2 * 4.76e9 * 512 / 1e12, abs=0.1)


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
