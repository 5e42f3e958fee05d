"""The form shows every setting, reads what people write, and hands the config what it can check."""

import gradio as gr
import pytest

from backends.contract.config import GROUPS, ConfigFaults, parse_config
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.registry import BACKENDS
from studio.ui.form import EMPTY_CHOICE, draw_field, fields_of_group, from_form, list_fields, read_values, same_value, to_form

CONFIGS = sorted({b.config for b in BACKENDS.values()}, key=lambda c: c.__name__)
FIELDS = {f.name: f for f in list_fields(TextToImageConfig)}


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_has_one_field_with_title_help_and_a_group(config):
    fields = list_fields(config)
    assert sorted(f.name for f in fields) == sorted(config.model_fields)
    assert sorted(f.name for g in GROUPS for f in fields_of_group(config, g)) == sorted(config.model_fields)
    assert all(f.title and f.help.endswith((".", "?")) for f in fields)


@pytest.mark.parametrize("config", CONFIGS)
def test_what_the_form_shows_for_the_defaults_gives_the_defaults_back(config):
    fields = list_fields(config)
    shown = [to_form(f, f.default) for f in fields]
    assert parse_config(config, read_values(fields, shown)) == config()


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_draws_a_native_component_that_carries_its_name(config):
    fields = list_fields(config)
    with gr.Blocks():
        drawn = [draw_field(f) for f in fields]
    assert [c.elem_id for c in drawn] == ["f-" + f.name for f in fields]
    assert all(c.label and c.info for c in drawn)


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", " 0,0002 ", 2e-4),
        ("max_train_steps", "1,500", 1500),
        ("max_train_steps", "1500 steps", 1500),
        ("max_train_steps", "12 000", 12000),
        ("max_train_steps", "", None),
        ("resolution", "512 px", 512),
        ("snr_gamma", "5", 5.0),
        ("sample_prompts", "a cat\n\n a dog ", ["a cat", "a dog"]),
        ("mixed_precision", EMPTY_CHOICE, None),
        ("mixed_precision", "bf16", "bf16"),
    ],
)
def test_values_are_read_as_people_write_them(name, written, read):
    values = read_values([FIELDS[name]], [written])
    assert getattr(parse_config(TextToImageConfig, values), name) == read


def test_small_and_large_numbers_are_shown_as_people_type_them():
    assert to_form(FIELDS["learning_rate"], 6e-4) == "6e-4"
    assert to_form(FIELDS["max_train_steps"], 12000) == "12000"
    assert to_form(FIELDS["max_train_steps"], None) == ""


def test_all_faults_come_at_once_each_at_its_field():
    shown = {"learning_rate": "fast", "max_train_steps": "0", "resolution": "1000000", "train_batch_size": ""}
    values = read_values([FIELDS[n] for n in shown], list(shown.values()))
    with pytest.raises(ConfigFaults) as caught:
        parse_config(TextToImageConfig, values)
    texts = {f.field: f.text for f in caught.value.faults}
    assert set(texts) == set(shown)
    assert "fast" in texts["learning_rate"]
    assert "from 1 to 1,000,000" in texts["max_train_steps"]


def test_a_number_that_is_no_number_stays_as_written_for_the_message():
    assert from_form(FIELDS["learning_rate"], "fast") == "fast"


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        ("learning_rate", "1e-4", 0.0001, True),
        ("learning_rate", "2e-4", 0.0001, False),
        ("max_train_steps", "", None, True),
        ("max_train_steps", "1,000", 1000, True),
        ("sample_prompts", "a\nb\n", ["a", "b"], True),
        ("mixed_precision", EMPTY_CHOICE, None, True),
        ("center_crop", True, False, False),
        ("seed", "0", None, False),
    ],
)
def test_a_setting_counts_as_changed_only_when_it_means_something_else(name, one, other, same):
    assert same_value(FIELDS[name], one, other) is same
