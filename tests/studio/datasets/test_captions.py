"""Captions: versions, who wrote them, the trigger word's place, find and replace with its effect shown, undo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.caption_files import clean_caption, decode_text
from studio.datasets.captions import CaptionConflict, set_caption
from studio.datasets.trigger import has_trigger_word, with_trigger_word, without_trigger_word
from tests.studio.datasets.drawing import draw_figure, encode

TEXTS = ["zog on a red wall", "a photo of zog", "red wall, smiling", ""]


@pytest.fixture
def filled(store, dataset, drop):
    for n, text in enumerate(TEXTS):
        pid = drop(f"{n}.png", encode(draw_figure(n, 48)))[0].picture_id
        set_caption(store, dataset, pid, text, 1)
    return dataset


def texts(store, dataset):
    return [p.text for p in store.pictures(dataset)]


def ids(store, dataset):
    return [p.id for p in store.pictures(dataset)]


def test_each_save_has_a_new_version_and_an_old_one_is_a_conflict(store, filled):
    pid = ids(store, filled)[0]
    version = set_caption(store, filled, pid, "one", store.picture(filled, pid).version)
    assert set_caption(store, filled, pid, "two", version) == version + 1
    with pytest.raises(CaptionConflict, match="changed elsewhere") as conflict:
        set_caption(store, filled, pid, "three", version)
    assert conflict.value.picture.text == "two" and store.picture(filled, pid).text == "two"


def test_saving_again_what_is_there_is_neither_conflict_nor_change(store, filled):
    pid = ids(store, filled)[0]
    version = store.picture(filled, pid).version
    assert set_caption(store, filled, pid, TEXTS[0], version - 1) == version


@pytest.mark.parametrize("by", ["person", "file"])
def test_a_captioner_never_writes_over_a_persons_words(store, filled, drop, by):
    pid = ids(store, filled)[0]
    if by == "file":
        set_caption(store, filled, pid, "", None)
        drop("0.txt", b"from a file")
    before = store.picture(filled, pid)
    assert before.text_by == by
    with pytest.raises(CaptionConflict, match="words of your own"):
        set_caption(store, filled, pid, "a bus", None, by="captioner")
    assert store.picture(filled, pid) == before


def test_a_captioner_writes_over_its_own_words_and_into_empty_ones(store, filled):
    pid = ids(store, filled)[3]
    set_caption(store, filled, pid, "a bus", None, by="captioner")
    set_caption(store, filled, pid, "a red bus", None, by="captioner")
    assert (store.picture(filled, pid).text, store.picture(filled, pid).text_by) == ("a red bus", "captioner")
    set_caption(store, filled, pid, "mine", None)
    assert store.picture(filled, pid).text_by == "person"


def test_a_caption_of_more_than_two_thousand_characters_is_refused_with_both_numbers(store, filled):
    pid = ids(store, filled)[0]
    set_caption(store, filled, pid, "x" * 2000, None)
    with pytest.raises(DarkroomError, match="100,000 characters; at most 2,000"):
        set_caption(store, filled, pid, "y" * 100_000, None)
    assert store.picture(filled, pid).text == "x" * 2000


CLEANED = {
    "a\x00b\x07c": "a b c",
    "\ufeffzog": "zog",
    "a\r\n b\t c ": "a b c",
    "e\u0301": "\u00e9",
    "👩\u200d🚀": "👩\u200d🚀",
    "\ud800": "?",
}


@pytest.mark.parametrize(("given_text", "kept"), CLEANED.items())
def test_control_characters_marks_and_line_ends_are_cleaned(given_text, kept):
    assert clean_caption(given_text) == kept


@given(st.binary(max_size=400))
def test_any_bytes_become_text(data):
    clean_caption(decode_text(data))


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more(text):
    once = clean_caption(text)
    assert clean_caption(once) == once and "\n" not in once


PLACED = {
    "on a red wall": ("zog on a red wall", "on a red wall, zog", "on a red wall"),
    "a bus on a wall": ("zog, a bus on a wall", "a bus on a wall, zog", "a bus on a wall"),
    "zog on a wall": ("zog on a wall", "on a wall, zog", "on a wall"),
    "Zog, smiling": ("zog smiling", "smiling, zog", "smiling"),
    "red, zog, smiling": ("zog red, smiling", "red, smiling, zog", "red, smiling"),
    "red, zog": ("zog red", "red, zog", "red"),
    "a photo of zog": ("a photo of zog", "a photo of zog", "a photo of"),
    "a photo of zog on red": ("a photo of zog on red", "a photo of zog on red", "a photo of on red"),
    "zogging, zog": ("zog zogging", "zogging, zog", "zogging"),
    "zog": ("zog", "zog", ""),
    "": ("zog", "zog", ""),
}


@pytest.mark.parametrize("text", PLACED)
def test_the_trigger_word_is_placed_moved_or_taken_out(text):
    assert tuple(with_trigger_word(text, "zog", place) for place in ("start", "end", "remove")) == PLACED[text]


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("a bus on a red wall", "zog on a red wall"),
        ("zog, a bus on a red wall", "zog on a red wall"),
        ("a photo of an old dog on grass", "a photo of zog on grass"),
        ("an orange, flat style", "zog, flat style"),
        ("a red apple", "zog"),
        ("two cats on a mat", "zog, two cats on a mat"),
        ("on a wall", "zog on a wall"),
        ("a wall, a red", "zog, a wall, a red"),
        ("zog on a wall", "zog on a wall"),
        ("", "zog"),
    ],
)
def test_as_the_subject_the_word_takes_the_place_of_what_the_captioner_named(text, reads):
    assert with_trigger_word(text, "zog", "subject") == reads
    assert with_trigger_word(reads, "zog", "subject") == reads


WORDS = st.lists(st.sampled_from(["zog", "red", "a", "wall,", "zog,", ", ", "Zog", "zogs", "(x)"]), max_size=8).map(" ".join)


@given(WORDS, st.sampled_from(["start", "subject", "end"]))
def test_placing_twice_is_placing_once_and_the_word_is_always_there(text, place):
    once = with_trigger_word(text, "zog", place)
    assert has_trigger_word(once, "zog") and with_trigger_word(once, "zog", place) == once
    assert not has_trigger_word(without_trigger_word(text, "zog"), "zog")


@pytest.mark.parametrize("word", ["c++", "z.g", "<zog>", "[V]", "ohwx man", "zög"])
def test_a_trigger_word_may_hold_any_signs(word):
    placed = with_trigger_word("on a wall", word, "end")
    assert placed == f"on a wall, {word}" and has_trigger_word(placed, word)
    assert with_trigger_word(placed, word, "remove") == "on a wall"


def test_placing_in_all_captions_leaves_pictures_without_one_and_can_be_undone(store, filled):
    token = captions.set_trigger_word(store, filled, "zog", "end")
    assert texts(store, filled) == ["on a red wall, zog", "a photo of zog", "red wall, smiling, zog", ""]
    assert store.info(filled).trigger_word == "zog"
    assert captions.undo(store, filled, token) == 2
    assert texts(store, filled) == TEXTS and store.info(filled).trigger_word == ""


def test_named_pictures_get_the_word_even_without_a_caption(store, filled):
    captions.set_trigger_word(store, filled, "zog", "start", [ids(store, filled)[3]])
    assert texts(store, filled) == [*TEXTS[:3], "zog"]


def test_a_new_trigger_word_takes_the_place_of_the_former(store, filled):
    captions.set_trigger_word(store, filled, "zog", "start")
    captions.set_trigger_word(store, filled, "glorp", "start")
    assert texts(store, filled)[0] == "glorp on a red wall" and store.info(filled).trigger_word == "glorp"


def test_taking_the_word_out_forgets_it_and_undo_brings_it_back(store, filled):
    captions.set_trigger_word(store, filled, "zog", "start")
    before = texts(store, filled)
    token = captions.set_trigger_word(store, filled, "zog", "remove")
    assert store.info(filled).trigger_word == "" and not any(has_trigger_word(t, "zog") for t in texts(store, filled))
    captions.undo(store, filled, token)
    assert texts(store, filled) == before and store.info(filled).trigger_word == "zog"


def test_without_any_word_there_is_nothing_to_place(store, filled):
    with pytest.raises(DarkroomError, match="no trigger word yet"):
        captions.set_trigger_word(store, filled, " ", "start")


def test_the_preview_shows_what_replacing_then_does(store, filled):
    shown = captions.preview_replace(store, filled, "RED WALL", "blue door")
    assert [(c.place, c.before, c.after, c.count) for c in shown] == [
        (1, TEXTS[0], "zog on a blue door", 1),
        (3, TEXTS[2], "blue door, smiling", 1),
    ]
    assert texts(store, filled) == TEXTS
    token = captions.replace(store, filled, "RED WALL", "blue door")
    assert texts(store, filled) == ["zog on a blue door", TEXTS[1], "blue door, smiling", ""]
    captions.undo(store, filled, token)
    assert texts(store, filled) == TEXTS


def test_replacing_respects_case_when_asked_and_takes_signs_as_they_stand(store, filled):
    assert not list(captions.preview_replace(store, filled, "RED", "x", match_case=True))
    assert not list(captions.preview_replace(store, filled, "w.ll", "x"))
    assert next(captions.preview_replace(store, filled, "wall", r"\1")).after == r"zog on a red \1"


def test_a_regular_expression_may_use_groups(store, filled):
    (change, _) = captions.preview_replace(store, filled, r"(red) (\w+)", r"\2 that is \1", regex=True)
    assert change.after == "zog on a wall that is red"


def test_taking_a_word_out_leaves_no_loose_comma(store, filled):
    assert list(captions.preview_replace(store, filled, "red wall", ""))[1].after == "smiling"


WRONG = [("(", "x", "not a regular expression"), ("(a)", r"\2", "does not fit"), ("", "x", "what is to be found")]


@pytest.mark.parametrize(("find", "replacement", "said"), WRONG)
def test_a_wrong_pattern_says_what_is_wrong(store, filled, find, replacement, said):
    with pytest.raises(DarkroomError, match=said):
        list(captions.preview_replace(store, filled, find, replacement, regex=True))


def test_a_pattern_that_never_ends_is_stopped(store, filled, monkeypatch):
    monkeypatch.setattr(captions, "REGEX_S", 0.05)
    set_caption(store, filled, ids(store, filled)[0], "a" * 1500 + "!", None)
    with pytest.raises(DarkroomError, match="takes more than"):
        list(captions.preview_replace(store, filled, r"(a|a|aa)+$", "x", regex=True))


def test_a_caption_edited_since_stays_when_the_rest_is_undone(store, filled):
    token = captions.replace(store, filled, "red", "green")
    set_caption(store, filled, ids(store, filled)[0], "edited since", None)
    assert captions.undo(store, filled, token) == 1
    assert texts(store, filled) == ["edited since", *TEXTS[1:]]


@pytest.mark.parametrize("token", ["../../x", "caption-0", "remove-0", ""])
def test_an_unknown_undo_is_refused(store, filled, token):
    with pytest.raises(DarkroomError):
        captions.undo(store, filled, token)
