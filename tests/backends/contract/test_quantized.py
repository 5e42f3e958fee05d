"""What storing the base small saves, and what is refused before anything is fetched."""

from __future__ import annotations

import importlib.util

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.quantized import check_quantization, compute_saved_gb


@pytest.mark.parametrize(
    ("family", "choice", "saved"),
    [
        ("flux", "nf4", 17.1),
        ("flux", "int8", 11.9),
        ("sdxl", "float8", 2.2),
        ("sdxl", "nf4", 3.2),
        ("sd15", "int8", 0.3),
        ("flux", "none", 0.0),
    ],
)
def test_what_is_saved_is_said_in_gb(family, choice, saved):
    assert compute_saved_gb(family, choice) == pytest.approx(saved, abs=0.05)


def test_against_32_bit_more_is_saved():
    assert compute_saved_gb("sdxl", "int8", bytes_a_weight=4) == pytest.approx(3 * compute_saved_gb("sdxl", "int8"))


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_nf4_without_an_nvidia_gpu_is_refused(device):
    with pytest.raises(DarkroomError, match=f"this run is on a {device.upper()}. Choose int8, or none") as caught:
        check_quantization("nf4", device)
    assert caught.value.field == "quantize_base"


@pytest.mark.parametrize(("choice", "package"), [("nf4", "bitsandbytes"), ("int8", "torchao"), ("float8", "torchao")])
def test_a_missing_package_is_refused_with_the_command_that_gets_it(choice, package, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DarkroomError, match=f"pip install {package}"):
        check_quantization(choice, "cuda")


def test_what_can_be_done_passes():
    check_quantization("none", "cpu")
