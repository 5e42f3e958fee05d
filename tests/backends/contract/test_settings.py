"""Every setting of every training says what it is and which values it takes, and holds to that."""

from __future__ import annotations

import re
import typing
from typing import Any

import pytest

from backends.contract.config import GROUPS, Config, ConfigFaults, parse_config, plain_number
from backends.contract.errors import DarkroomError
from backends.registry import BACKENDS, REFUSED, find_backend

FIELDS = [(name, field) for name, backend in BACKENDS.items() for field in backend.config.model_fields]
# The first back end that has a field speaks for all: a setting is written down once.
ONCE = list({field: (name, field) for name, field in reversed(FIELDS)}.values())
NEEDED: dict[str, dict[str, Any]] = {"train_text_encoder": {}, "push_to_hub": {"hub_model_id": "me/zog"}}


def limits(kind: type[Config], name: str) -> tuple[float | None, float | None, set[str]]:
    """(least, most, JSON types) of a field."""
    shown = kind.model_json_schema()["properties"][name]
    options = [o for o in shown.get("anyOf", [shown]) if o.get("type") != "null"]
    merged = {**shown, **options[0]}
    return merged.get("minimum"), merged.get("maximum"), {o.get("type", "") for o in options}


def accepts(kind: type[Config], **values: Any) -> Config:
    return parse_config(kind, {**values})


def refusal(kind: type[Config], **values: Any) -> str:
    with pytest.raises(ConfigFaults) as caught:
        parse_config(kind, values)
    return caught.value.text


@pytest.mark.parametrize("name", BACKENDS)
def test_every_setting_has_a_label_a_help_and_a_place(name):
    kind = BACKENDS[name].config
    types = kind.model_json_schema()["properties"]
    for field, info in kind.model_fields.items():
        shown = typing.cast(dict[str, Any], info.json_schema_extra)
        assert info.title and info.title != field, field
        assert info.description and info.description.endswith(".") and 10 <= len(info.description) <= 120, field
        assert shown["group"] in GROUPS and shown["widget"], field
        if types[field].get("type") == "boolean":
            assert info.description.startswith("On or off.") and shown["widget"] == "switch", field
        if "enum" in types[field]:
            assert shown["widget"] == "choice", field


NUMBERS = [(name, field) for name, field in ONCE if limits(BACKENDS[name].config, field)[2] & {"integer", "number"}]


@pytest.mark.parametrize(("name", "field"), NUMBERS)
def test_a_numbers_range_stands_in_its_help_and_is_kept(name, field):
    kind = BACKENDS[name].config
    low, high, types = limits(kind, field)
    assert low is not None and high is not None, "a number without a range"
    info, help_text = kind.model_fields[field], str(kind.model_fields[field].description)
    told = [high] if field in ("resolution", "local_rank") else [low, high]  # these two say their least value in other words
    assert all(plain_number(n) in help_text for n in told), help_text
    beyond = [high + 1] if "integer" in types else [high * 1.01]
    beyond += [low - 1] if "integer" in types or low == 0 else [low * 0.99 if low > 0 else low * 1.01]
    for value in beyond:
        text = refusal(kind, **{field: value})
        assert str(info.title) in text and plain_number(high) in text and text.endswith(".") and "\n" not in text, text
    assert "a number" in refusal(kind, **{field: "much"}) or "whole number" in refusal(kind, **{field: "much"})


def _choices(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [c for part in typing.get_args(annotation) for c in _choices(part)]


CHOICES = [
    (name, field) for name, field in ONCE if any(c is not None for c in _choices(BACKENDS[name].config.model_fields[field].annotation))
]


@pytest.mark.parametrize(("name", "field"), CHOICES)
def test_a_choice_says_how_many_there_are_and_names_them_when_wrong(name, field):
    kind = BACKENDS[name].config
    choices = [c for c in _choices(kind.model_fields[field].annotation) if c is not None]
    help_text = str(kind.model_fields[field].description)
    counted = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}[len(choices)]
    assert f"One of {counted}" in help_text or all(str(c) in help_text for c in choices), help_text
    text = refusal(kind, **{field: "someone"})
    assert all(str(c) in text for c in choices) and "“someone”" in text


@pytest.mark.parametrize("name", BACKENDS)
def test_a_misspelt_setting_is_refused_with_its_right_name(name):
    kind = BACKENDS[name].config
    for field in kind.model_fields:
        for wrong in (field + "s", field[:-1] + "x" if len(field) < 8 else field[:3] + field[4:]):
            if wrong not in kind.model_fields:
                assert re.search(r"There is no setting “.+”\. Did you mean \w+\?", refusal(kind, **{wrong: 1}))
        assert f"Did you mean {field}?" in refusal(kind, **{field + "s": 1}) or field + "s" in kind.model_fields


@pytest.mark.parametrize("name", BACKENDS)
def test_a_setting_of_another_training_is_refused(name):
    kind = BACKENDS[name].config
    others = {field for _, field in FIELDS} - set(kind.model_fields)
    assert others
    for field in others:
        assert f"There is no setting “{field}”." in refusal(kind, **{field: 1})


@pytest.mark.parametrize("name", BACKENDS)
def test_the_defaults_are_a_training_that_could_start(name):
    config = accepts(BACKENDS[name].config)
    assert find_backend(name).family == config.family


CROSSED = [
    ("sdxl/dreambooth", {"with_prior_preservation": True}, ["class", "empty", "a photo of dog"]),
    (
        "sdxl/dreambooth",
        {"with_prior_preservation": True, "class_prompt": "Zog  dog", "instance_prompt": "zog dog"},
        ["same", "trigger word"],
    ),
    ("sdxl/dreambooth", {"do_edm_style_training": True, "snr_gamma": 5.0}, ["Min-SNR", "EDM", "off"]),
    ("flux/text_to_image", {"optimizer": "prodigy", "use_8bit_adam": True}, ["8-bit Adam", "prodigy", "AdamW"]),
    ("sd15/text_to_image", {"optimizer": "schedule_free", "adam_beta1": 0}, ["beta 1", "schedule_free", "0.9"]),
    ("sd15/text_to_image", {"optimizer": "schedule_free", "use_ema": True}, ["average", "schedule_free", "off"]),
    ("sd15/text_to_image", {"pretrained_model_name_or_path": "pocket-sdxl"}, ["sdxl", "sd15", "pocket-sd15"]),
    ("sdxl/text_to_image", {"pretrained_model_name_or_path": "flux-dev"}, ["flux", "sdxl"]),
    ("sdxl/text_to_image", {"resolution": 1000}, ["1000", "992 or 1024"]),
    ("sdxl/text_to_image", {"push_to_hub": True}, ["owner/name"]),
    ("sdxl/text_to_image", {"trigger_word": "zog the dog"}, ["zog the dog", "one word"]),
    ("sdxl/text_to_image", {"sample_prompts": ["a"] * 17}, ["Sample prompts"]),
    ("sd15/instruct_pix2pix", {"conditioning_dropout_prob": 0.4}, ["0.33"]),
    ("flux/ai_toolkit", {"shuffle_tags": True, "trigger_word": "zog"}, ["zog", "off", "flux/text_to_image"]),
    ("sd15/instruct_pix2pix", {"shuffle_tags": True}, ["There is no setting", "shuffle_tags"]),
    ("sdxl/text_to_image", {"keep_tags": -1}, ["Tags that keep their place", "-1", "0 to 100"]),
    ("sdxl/dreambooth", {"tag_orders": 1}, ["Orders of each caption", "2 to 64"]),
    ("flux/ai_toolkit", {"pretrained_model_name_or_path": "/x/flux1-dev.safetensors"}, ["not from one file", "flux/text_to_image"]),
]


@pytest.mark.parametrize(("name", "values", "words"), CROSSED, ids=lambda v: v if isinstance(v, str) else "")
def test_settings_that_do_not_go_together_are_refused_with_the_way_out(name, values, words):
    text = refusal(BACKENDS[name].config, **values)
    assert all(word in text for word in words), text


@pytest.mark.parametrize("name", REFUSED)
def test_a_training_that_makes_no_sense_is_refused_with_the_reason(name):
    with pytest.raises(DarkroomError, match="Choose|choose") as caught:
        find_backend(name)
    assert any(other in caught.value.text for other in BACKENDS)


def test_an_unknown_training_is_refused_with_those_that_exist():
    with pytest.raises(DarkroomError, match="sd15/dreambooth"):
        find_backend("sdxl/text_to_picture")
