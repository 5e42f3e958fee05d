"""Every setting that a form shows has a name, a group, one line of help, and a range or a rule."""

from __future__ import annotations

import re

import pytest

from backends.contract.config import GROUPS
from backends.registry import BACKENDS

SETTINGS = [(b.name, name, prop) for b in BACKENDS.values() for name, prop in b.config.model_json_schema()["properties"].items()]


@pytest.mark.parametrize(("backend", "name", "prop"), SETTINGS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_setting_has_title_group_and_one_line_of_help(backend, name, prop):
    assert prop["title"], name
    assert prop["title"] != name
    assert prop["group"] in GROUPS
    assert 10 <= len(prop["description"]) <= 120
    assert prop["description"].endswith(".")


@pytest.mark.parametrize(("backend", "name", "prop"), SETTINGS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_number_has_a_lowest_and_a_highest_value_that_its_help_names(backend, name, prop):
    options = [prop, *prop.get("anyOf", [])]
    numbers = [o for o in options if o.get("type") in ("integer", "number")]
    for option in numbers:
        assert {"minimum", "maximum"} <= option.keys(), f"{name} has no range"
        assert option["minimum"] < option["maximum"]
        assert re.search(r"\d", prop["description"]), f"the help of {name} names no range"


@pytest.mark.parametrize(("backend", "name", "prop"), SETTINGS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_switch_says_so_and_a_choice_counts_its_options(backend, name, prop):
    if prop.get("type") == "boolean":
        assert prop["description"].startswith("On or off.")
        assert prop["widget"] == "switch"
    if "enum" in prop:
        assert prop["widget"] == "choice"
