"""Where a base model finds room: decided from numbers, before anything is loaded."""

from __future__ import annotations

import pytest
import torch

from backends.contract.base_models import parse_source
from backends.contract.errors import DarkroomError
from backends.generate.loading import load_draw_pipeline
from backends.generate.memory import ROOM, choose_quantization, measure_denoiser, plan_storage

FLUX = 24_000_000_000


def test_what_finds_room_is_stored_whole():
    assert choose_quantization("flux", FLUX, FLUX + ROOM, installed=False) == "none"
    assert choose_quantization("sdxl", 5_000_000_000, 4_000_000_000, installed=True) == "none"


def test_a_flux_that_finds_none_is_stored_small_or_says_what_is_missing():
    assert choose_quantization("flux", FLUX, FLUX, installed=True) == "nf4"
    with pytest.raises(DarkroomError, match="needs 27 GB of GPU memory and 16 GB are free. Install bitsandbytes"):
        choose_quantization("flux", FLUX, 16_000_000_000, installed=False)


def test_sizes_come_from_the_files_and_from_the_family_where_there_are_none():
    pocket = measure_denoiser("flux", "transformer", parse_source("pocket-flux"))
    assert 1_000_000 < pocket < 30_000_000
    assert measure_denoiser("flux", "transformer", parse_source("flux-dev")) == pytest.approx(FLUX, rel=0.02)


def test_on_a_cpu_nothing_is_stored_small_and_nothing_has_to_be_told():
    assert plan_storage("flux", "transformer", parse_source("flux-dev"), torch.device("cpu")) == "none"
    assert load_draw_pipeline("pocket-flux").notices == []
