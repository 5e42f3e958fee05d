"""Every preset is a valid recipe with its sources, fits the machine that it names, and says why each value."""

from __future__ import annotations

import pytest

from backends.contract.base_models import find_base_model
from backends.contract.config import parse_config
from backends.contract.errors import DarkroomError
from backends.registry import BACKENDS, find_backend
from studio.runs.forecast import compute_forecast
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.presets import fill_prompts, find_preset, load_presets, read_preset

PRESETS = load_presets()
ids = [p.key for p in PRESETS]


def config_of(preset, word="zog"):
    return parse_config(find_backend(preset.backend).config, preset.values_for(word))


def test_there_is_a_subject_and_a_style_for_machines_without_a_gpu():
    assert {"subject", "style"} <= {p.task for p in PRESETS if not p.gpu_memory_gb}


@pytest.mark.parametrize("preset", PRESETS, ids=ids)
def test_its_values_are_valid_settings(preset):
    config = config_of(preset)
    assert config.pretrained_model_name_or_path == preset.base_model
    if preset.task == "edit":  # pairs held out are drawn
        assert config.num_sample_pairs
        return
    assert config.sample_prompts
    if "{trigger_word}" in str(preset.values):
        assert any("zog" in p for p in config.sample_prompts)
    assert any("zog" not in p for p in config.sample_prompts)


@pytest.mark.parametrize("preset", PRESETS, ids=ids)
def test_it_names_an_existing_back_end_and_base_model_and_its_sources(preset):
    assert preset.backend in BACKENDS
    assert find_base_model(preset.base_model)
    assert preset.sources
    assert preset.sentence.endswith(".")
    assert preset.minutes > 0
    assert preset.minutes_on


@pytest.mark.parametrize("preset", PRESETS, ids=ids)
def test_it_says_why_for_every_value_that_differs_from_the_default(preset):
    fields = find_backend(preset.backend).config.model_fields
    differing = {n for n, v in preset.values.items() if v != fields[n].get_default(call_default_factory=True)}
    assert differing - {"pretrained_model_name_or_path"} <= set(preset.why)
    assert set(preset.why) <= set(preset.values), "a reason for a value that it does not set"
    assert all(text.endswith(".") for text in preset.why.values())


@pytest.mark.parametrize("preset", PRESETS, ids=ids)
def test_it_fits_the_machine_that_it_names(preset):
    gpus = [Gpu("a GPU", preset.gpu_memory_gb, preset.gpu_memory_gb)] * preset.gpus if preset.gpu_memory_gb else []
    machine = describe_hardware(gpus, cpu_cores=2, memory_gb=8.0)
    forecast = compute_forecast(config_of(preset), preset.pictures, machine, 4e12)
    assert forecast.problem == "" and config_of(preset).num_processes == preset.gpus
    assert forecast.memory_need_gb <= (preset.gpu_memory_gb or 8.0)


@pytest.mark.parametrize("preset", PRESETS, ids=ids)
def test_its_minutes_are_those_of_the_forecast(preset):
    """The card and the side card must not contradict each other by more than a factor of two."""
    on = preset.minutes_on.removesuffix(", estimated")
    gpus = [Gpu(on, preset.gpu_memory_gb, preset.gpu_memory_gb)] if preset.gpu_memory_gb else []
    forecast = compute_forecast(config_of(preset), preset.pictures, describe_hardware(gpus, cpu_cores=2, memory_gb=8.0), 4e12)
    assert preset.minutes / 2 <= forecast.seconds / 60 <= preset.minutes * 2


FIELD = {
    "instruct_pix2pix/sd15_8x_a100": {
        "train_batch_size": 8, "gradient_accumulation_steps": 1, "num_processes": 8, "learning_rate": 5e-5, "num_train_epochs": 100,
        "max_train_steps": None, "mixed_precision": "fp16", "resolution": 512, "conditioning_dropout_prob": 0.05},
    "instruct_pix2pix/sd15_24gb": {"num_processes": 1, "learning_rate": 5e-5, "resolution": 512},
    "instruct_pix2pix/sdxl_8x_a100": {"train_batch_size": 4, "num_processes": 8, "resolution": 1024},
    "instruct_pix2pix/sdxl_48gb": {"num_processes": 1, "resolution": 1024},
    "text_to_image/sdxl_old_book_illustrations": {
        "train_batch_size": 1, "gradient_accumulation_steps": 4, "learning_rate": 1e-4, "num_train_epochs": 10, "max_train_steps": None,
        "mixed_precision": "fp16", "resolution": 1024},
    "dreambooth/sdxl_16gb": {
        "train_batch_size": 1, "gradient_accumulation_steps": 4, "learning_rate": 1e-4, "lr_scheduler": "constant", "max_train_steps": 500,
        "with_prior_preservation": False},
    "dreambooth/sdxl_prior_24gb": {"max_train_steps": 500, "with_prior_preservation": True},
    "text_to_image/flux_subject_12gb": {"quantize_base": "nf4", "rank": 16, "learning_rate": 1e-4, "max_train_steps": 1000},
}  # fmt: skip


@pytest.mark.parametrize("key", FIELD)
def test_the_recipes_of_the_field_are_as_they_were_published(key):
    config = config_of(find_preset(key))
    assert {name: getattr(config, name) for name in FIELD[key]} == FIELD[key]


def test_there_is_a_recipe_for_every_task_model_and_card_that_people_have():
    there = {(p.backend, p.task, p.gpu_memory_gb) for p in PRESETS}
    assert {("sdxl/text_to_image", task, card) for task in ("style", "subject") for card in (12, 24, 40)} <= there
    assert {("flux/text_to_image", "subject", card) for card in (12, 16, 24, 48)} <= there
    without_gpu = {p.backend for p in PRESETS if not p.gpu_memory_gb}
    assert without_gpu == {name for name, backend in BACKENDS.items() if backend.method_class}


@pytest.mark.parametrize("preset", [p for p in PRESETS if p.base_model == "sdxl"], ids=lambda p: p.key)
def test_a_recipe_for_sdxl_has_the_vae_that_half_precision_needs(preset):
    assert config_of(preset).pretrained_vae_model_name_or_path == "madebyollin/sdxl-vae-fp16-fix"


@pytest.mark.parametrize("preset", [p for p in PRESETS if p.task == "subject" and p.minutes > 1], ids=lambda p: p.key)
def test_a_subject_run_leaves_at_least_four_checkpoints_to_compare(preset):
    config = config_of(preset)
    assert config.max_train_steps // config.checkpointing_steps >= 4
    assert (config.checkpoints_total_limit or 99) >= 4


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(DarkroomError, match="Did you mean text_to_image/pocket_subject"):
        find_preset("text_to_image/poket_subject")


def test_prompts_that_need_a_trigger_word_are_left_out_without_one():
    values = {"sample_prompts": ["{trigger_word} on a beach", "a cat"], "trigger_word": ""}
    assert fill_prompts(values)["sample_prompts"] == ["a cat"]
    assert fill_prompts({**values, "trigger_word": "zog"})["sample_prompts"] == ["zog on a beach", "a cat"]


@pytest.mark.parametrize(("text", "fault"), [("name: x", "missing or unknown"), ("- 1", "everything"), ("a: [", "cannot be read")])
def test_a_file_that_is_no_preset_is_refused_by_name(tmp_path, text, fault):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DarkroomError, match=fault) as refused:
        read_preset(path)
    assert "mine.yaml" in refused.value.text
