"""How captions are to be worded: read from plain values, refused with value, rule and field."""

from __future__ import annotations

import pytest

from backends.contract.captioning import CAPTIONERS, RANGES, SCORERS, Wording, read_wording
from backends.contract.errors import DarkroomError


def test_nothing_named_is_the_default_and_text_becomes_numbers():
    assert read_wording({}) == Wording()
    read = read_wording({"num_beams": "4", "top_p": "0.5", "candidates": 3, "search": "nucleus", "prefix": "  a  photo of "})
    assert (read.num_beams, read.top_p, read.candidates, read.search, read.prefix) == (4, 0.5, 3, "nucleus", "a photo of")


@pytest.mark.parametrize("name", RANGES)
def test_each_number_is_refused_beyond_both_ends_and_where_it_is_none(name):
    low, high, _ = RANGES[name]
    for value in (low - 1, high + 1, "many", None):
        with pytest.raises(DarkroomError, match=f"{low:g} to {high:g}") as caught:
            read_wording({name: value})
        assert caught.value.field == name
    for value in (low, high):
        assert getattr(read_wording({name: value}), name) == value


@pytest.mark.parametrize(("values", "field"), [({"search": "luck"}, "search"), ({"prefix": "x" * 201}, "prefix"), ({"beams": 3}, "beams")])
def test_what_is_none_of_them_is_refused(values, field):
    with pytest.raises(DarkroomError) as caught:
        read_wording(values)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("prefix", "suffix", "text"),
    [
        ("", "", "a cat"),
        ("a photo of", "", "a photo of a cat"),
        ("", ", film grain", "a cat, film grain"),
        ("", "at night", "a cat at night"),
        ("a drawing of", ".", "a drawing of a cat."),
    ],
)
def test_prefix_and_suffix_stand_around_with_a_space_where_one_belongs(prefix, suffix, text):
    assert Wording(prefix=prefix, suffix=suffix).around("a cat") == text


def test_every_model_that_is_named_says_its_size_but_the_bundled_one():
    for models in (CAPTIONERS, SCORERS):
        for key, model in models.items():
            assert model.key == key and model.sentence.endswith(".")
            assert (f"{model.size_gb:g} GB" in model.label) == (key != "pocket-blip")
