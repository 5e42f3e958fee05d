"""What Home says of the machine: what can be trained on it, and how long that takes."""

from __future__ import annotations

import pytest

from studio.runs.hardware import Gpu, describe_hardware
from studio.web import home_routes

DISK = 10**12


def describe(monkeypatch, context, *gpus):
    machine = describe_hardware([Gpu("NVIDIA RTX 4090", gb, gb) for gb in gpus], 8, 64.0)
    monkeypatch.setattr(home_routes, "probe_hardware", lambda: machine)
    return home_routes.describe_machine(context)


def test_without_a_gpu_the_pocket_models_train_and_the_large_ones_say_what_they_need(monkeypatch, context):
    told = describe(monkeypatch, context)
    assert told["can"] == "the Pocket models"
    assert [(r["base"], r["fits"]) for r in told["recipes"]] == [
        ("Pocket", True),
        ("Pocket 1.5", True),
        ("SDXL 1.0", False),
        ("Flux dev", False),
    ]
    assert told["recipes"][0]["text"].startswith("a subject in about ") and told["recipes"][1]["text"].startswith("edits in about ")
    assert told["recipes"][2]["text"] == "needs a GPU with 12 GB"


@pytest.mark.parametrize("gpus", [(24.0,), (80.0,)])
def test_with_one_gpu_no_recipe_for_eight_is_offered(monkeypatch, context, gpus):
    told = describe(monkeypatch, context, *gpus)
    assert "SDXL 1.0" in told["can"] and "Pocket" not in told["can"]
    assert not [r["key"] for r in told["recipes"] if "8x" in r["key"]]


def test_eight_large_gpus_are_offered_the_recipe_for_eight(monkeypatch, context):
    keys = [r["key"] for r in describe(monkeypatch, context, *[80.0] * 8)["recipes"]]
    assert "instruct_pix2pix/sd15_8x_a100" in keys
