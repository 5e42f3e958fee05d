"""DreamBooth's samples: the subject as often as asked, beside it the class in turn, and judged by the subject alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract.errors import DarkroomError
from backends.methods.dreambooth import CLASS, SUBJECT
from backends.methods.protocol import Row
from tests.backends.loaded import load

PRIOR = {"with_prior_preservation": True, "class_prompt": "a dog", "instance_prompt": "zog dog"}


def rows(count: int, kind: str, *, held_out: int = 0, caption: str = "") -> list[Row]:
    extra = {"class_picture": True} if kind == "class" else {}
    return [Row(f"{kind}{n}", Path(f"{kind}{n}.png"), caption, 64, 64, n < held_out, extra) for n in range(count)]


@pytest.fixture(scope="module")
def build(toy_base):
    return lambda **settings: load("sd15/dreambooth", toy_base("sd15"), **settings).method


def test_as_many_samples_as_the_larger_group_each_paired_in_turn(build):
    items = build(**PRIOR).build_items([*rows(4, "own", held_out=1), *rows(5, "class")])
    learning = [item for item in items if not item.held_out]
    assert [(i.pictures[SUBJECT].id, i.pictures[CLASS].id) for i in learning] == [
        ("own1", "class0"), ("own2", "class1"), ("own3", "class2"), ("own1", "class3"), ("own2", "class4")]  # fmt: skip
    assert {tuple(i.captions.items()) for i in learning} == {((SUBJECT, "zog dog"), (CLASS, "a dog"))}
    [judge] = [item for item in items if item.held_out]
    assert set(judge.pictures) == {SUBJECT}


@pytest.mark.parametrize("repeats", [1, 3])
def test_each_picture_counts_as_often_as_it_is_repeated(build, repeats):
    items = build(repeats=repeats, instance_prompt="zog dog").build_items(rows(3, "own", held_out=1))
    assert [i.pictures[SUBJECT].id for i in items if not i.held_out] == [f"own{n}" for n in (1, 2) for _ in range(repeats)]
    assert sum(i.held_out for i in items) == 1


def test_without_a_prompt_each_pictures_own_caption_speaks(build):
    items = build().build_items(rows(2, "own", caption="zog in the snow"))
    assert {i.captions[SUBJECT] for i in items} == {"zog in the snow"}
    with pytest.raises(DarkroomError, match="own0.png has no caption") as caught:
        build().build_items(rows(1, "own"))
    assert caught.value.field == "instance_prompt"


def test_pictures_of_the_class_are_wished_for_only_where_the_class_is_kept(build):
    method = build()
    assert method.wish_pictures(method._config) is None
    kept = build(**PRIOR, num_class_images=7)
    wish = kept.wish_pictures(kept._config)
    assert (wish.prompt, wish.count, wish.folder) == ("a dog", 7, None)
