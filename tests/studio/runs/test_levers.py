"""What to change so that a run fits: as little as needed, and it is true that it then fits."""

from __future__ import annotations

import re

import pytest

from backends.registry import find_backend
from studio.runs.cost import compute_memory_parts
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.levers import find_division, list_levers, suggest_less_memory

BASES = {"sd15": "sd15", "sdxl": "sdxl", "flux": "flux-dev"}
LORAS = ["sd15/text_to_image", "sdxl/text_to_image", "sdxl/dreambooth", "flux/text_to_image", "flux/dreambooth"]


def config_of(backend, **values):
    kind = find_backend(backend).config
    return kind(pretrained_model_name_or_path=BASES[backend.partition("/")[0]], **values)


def need(config, card):
    return sum(size for _, size in compute_memory_parts(config, card))


def card_of(gb):
    return describe_hardware([Gpu("a card", gb, gb)], 8, 32.0)


@pytest.mark.parametrize("gb", [8.0, 12.0, 16.0, 24.0])
@pytest.mark.parametrize("backend", LORAS)
def test_what_is_suggested_makes_it_fit_and_nothing_of_it_is_superfluous(backend, gb):
    card, config = card_of(gb), config_of(backend, train_batch_size=8)
    if need(config, card) <= gb:
        return
    told = suggest_less_memory(config, card, gb)
    then = re.search(r"then it needs ([0-9.]+) GB", told)
    if then is None:
        assert "Choose Pocket" in told and "Even with every saving it needs" in told
        return
    assert float(then[1]) <= gb + 0.05
    assert not ("int8" in told and "nf4" in told)


def test_a_lever_that_is_enough_is_the_only_one():
    card, config = card_of(24.0), config_of("sdxl/text_to_image", resolution=1024, train_batch_size=16)
    assert need(config, card) > 24.0
    assert suggest_less_memory(config, card, 24.0).count(",") == 0


def test_flux_fits_twelve_gb_as_nf4_and_not_as_int8():
    told = suggest_less_memory(config_of("flux/text_to_image", resolution=512, rank=4), card_of(12.0), 12.0)
    assert "nf4" in told and "int8" not in told


def test_where_nothing_helps_it_is_said():
    told = suggest_less_memory(config_of("flux/text_to_image"), card_of(4.0), 4.0)
    assert told.startswith("Even with every saving it needs") and told.endswith("Choose Pocket Flux, or a machine with more memory.")


def test_every_lever_saves_what_it_says():
    card, config = card_of(24.0), config_of("sdxl/text_to_image", train_batch_size=4)
    for lever in list_levers(config, card):
        assert need(config, card) - need(config.model_copy(update=lever.changes), card) == pytest.approx(lever.saves_gb, abs=0.01)


@pytest.mark.parametrize(("batch", "also"), [(1, ""), (16, " and set the batch size to 1 with accumulation 16")])
def test_where_dividing_over_the_gpus_makes_it_fit_that_is_suggested(batch, also):
    memory = {"mixed_precision": "bf16", "gradient_checkpointing": True, "sample_every": 0}
    config, card = config_of("sdxl/text_to_image_full", num_processes=4, train_batch_size=batch, **memory), card_of(24.0)
    assert need(config, card) > 24
    told = suggest_less_memory(config, card, 24.0)
    assert told.startswith(f"Share the work by fsdp2 (under “Where it runs”){also}: then it needs ")
    divided = sum(size for _, size in compute_memory_parts(config.model_copy(update={"train_batch_size": 1}), card, 4))
    assert float(re.search(r"needs ([\d.]+) GB on each GPU", told)[1]) == pytest.approx(divided, abs=0.05)


def test_what_is_divided_already_or_cannot_be_is_not_offered_to_be():
    config = config_of("sdxl/text_to_image_full", num_processes=4)
    card = card_of(24.0)
    assert find_division(config, card).saves_gb > 20
    small = find_division(config.model_copy(update={"use_8bit_adam": True}), card)
    assert small.text.endswith("with 8-bit Adam off") and small.changes == {"use_8bit_adam": False} and small.saves_gb > 10
    assert find_division(config, card, 4) is None
    assert not any("8-bit" in lever.text for lever in list_levers(config, card, 4))  # which cannot be divided
    assert find_division(config.model_copy(update={"num_processes": 1}), card) is None
    assert find_division(config_of("sdxl/text_to_image", num_processes=4), card) is None
