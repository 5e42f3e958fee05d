"""Which columns hold pictures and words."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets.formats.columns import Columns, choose_columns

EDITS = ("original_image", "edit_prompt", "edited_image")
SEEDS = ("input_image", "instruction", "output_image")
TWO = ("picture", "words", "picture")


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ({"image": "picture", "text": "words"}, Columns(("image",), "text")),
        ({"jpg": "picture", "what": "words", "id": "other"}, Columns(("jpg",), "what")),
        ({"jpg": "picture", "a": "words", "b": "words"}, Columns(("jpg",), "")),
        ({"id": "words", "caption": "words", "image": "picture"}, Columns(("image",), "caption")),
        (
            {"original_image": "picture", "edit_prompt": "words", "edited_image": "picture"},
            Columns(("original_image", "edited_image"), "edit_prompt"),
        ),
        (
            {"input_image": "picture", "instruction": "words", "output_image": "picture"},
            Columns(("input_image", "output_image"), "instruction"),
        ),
        ({"source": "picture", "target": "picture", "prompt": "words"}, Columns(("source", "target"), "prompt")),
        ({"image": "picture", "mask": "picture", "text": "words"}, Columns(("image",), "text", "mask")),
        ({"photo": "picture", "masks": "picture"}, Columns(("photo",), "", "masks")),
        ({"mask": "picture", "text": "words"}, Columns(("mask",), "text")),
    ],
)
def test_the_usual_names_are_found(kinds, found):
    assert choose_columns(kinds) == found


def test_a_person_chooses_others():
    kinds = {"a": "picture", "b": "picture", "c": "picture", "x": "words", "y": "words"}
    assert choose_columns(kinds, ["c", "a"], "y") == Columns(("c", "a"), "y")
    assert choose_columns(kinds, ["b"], "") == Columns(("b",), "")


@pytest.mark.parametrize(
    ("kinds", "wanted", "words", "told"),
    [
        ({}, [], None, "No column holds pictures. There is: no column at all"),
        ({"text": "words", "n": "other"}, [], None, r"No column holds pictures. There is: text \(words\), n \(something else\)"),
        ({"a": "picture", "b": "picture"}, [], None, r"Several columns hold pictures \(a, b\). Say which one"),
        ({"a": "picture"}, ["b"], None, "no column “b”. There is: a"),
        ({"a": "picture", "t": "words"}, ["t"], None, "no pictures in the column “t”"),
        ({"a": "picture", "t": "words"}, [], "a", "no words in the column “a”"),
        ({"a": "picture"}, ["a", "a"], None, "2 columns of pictures were chosen"),
    ],
)
def test_what_cannot_be_is_told_with_what_there_is(kinds, wanted, words, told):
    with pytest.raises(DarkroomError, match=told):
        choose_columns(kinds, wanted, words)
