"""Tags between commas: what each change makes of one caption, and of many."""

from __future__ import annotations

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.tags import Tagging, change_tags, preview_tags, retag
from tests.studio.datasets.many import create_many

CHANGES = [
    ("zog, red", Tagging(act="add", tag="smiling"), "zog, red, smiling"),
    ("zog, red", Tagging(act="add", tag="smiling, red", place="second"), "zog, smiling, red"),
    ("zog, red", Tagging(act="add", tag="big", place="start"), "big, zog, red"),
    ("zog, red", Tagging(act="add", tag="ZOG"), "zog, red"),
    ("", Tagging(act="add", tag="big"), "big"),
    ("zog, red, Red , blue", Tagging(act="remove", tag="red"), "zog, blue"),
    ("zog,red", Tagging(act="remove", tag="re"), "zog,red"),
    ("red", Tagging(act="remove", tag="red"), ""),
    ("zog, red, blue", Tagging(act="rename", tag="red", to="crimson, warm"), "zog, crimson, warm, blue"),
    ("zog, red, blue", Tagging(act="rename", tag="red", to="blue"), "zog, blue"),
    ("a, zog, b", Tagging(act="move", tag="zog", place="start"), "zog, a, b"),
    ("zog, a, b", Tagging(act="move", tag="b", place="second"), "zog, b, a"),
    ("zog, a", Tagging(act="move", tag="c", place="start"), "zog, a"),
    ("tree, a zog there, Cat", Tagging(act="sort"), "a zog there, Cat, tree"),
    ("one sentence", Tagging(act="sort"), "one sentence"),
]


@pytest.mark.parametrize(("text", "wanted", "after"), CHANGES)
def test_a_change_of_tags_makes_this_of_a_caption(text, wanted, after):
    assert change_tags(text, wanted, "zog") == after
    assert change_tags(after, wanted, "zog") == after or wanted.act == "rename"


def test_what_the_preview_counts_is_what_changes_and_undo_takes_it_back(store):
    dataset = create_many(store, 30)
    before = [row.text for row in store.index(dataset).rows()]
    wanted = Tagging(act="add", tag="smiling")
    shown = {change.place: change.after for change in preview_tags(store, dataset, wanted)}
    assert len(shown) == 27  # three of thirty have no caption, and stay without
    token = retag(store, dataset, wanted)
    assert [row.text for row in store.index(dataset).rows()] == [shown.get(n + 1, text) for n, text in enumerate(before)]
    assert captions.undo(store, dataset, token) == 27
    assert [row.text for row in store.index(dataset).rows()] == before


def test_named_pictures_alone_are_changed_also_those_without_a_caption(store):
    dataset = create_many(store, 30)
    retag(store, dataset, Tagging(act="add", tag="smiling"), among={1, 10})
    assert [row.place for row in store.index(dataset).rows() if "smiling" in row.text] == [1, 10]


@pytest.mark.parametrize(
    "wanted", [Tagging(act="add", tag=" , "), Tagging(act="rename", tag="red", to=""), Tagging(act="add", tag="x" * 200)]
)
def test_without_a_tag_there_is_nothing_to_do(store, wanted):
    dataset = create_many(store, 2)
    if len(wanted.tag) > 100:
        captions.change_captions(store, dataset, {row.id: "z" * 1900 for row in store.index(dataset).rows()})
    with pytest.raises(DarkroomError, match=r"Write|at most 2,000"):
        list(preview_tags(store, dataset, wanted))
