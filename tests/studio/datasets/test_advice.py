"""What is said of captions as a whole: what they share, whether they are tags, whether a trigger word is known already."""

from __future__ import annotations

import pytest

from studio.datasets import captions
from studio.datasets.known_words import describe_word
from studio.datasets.shared_words import Shared, describe_style, is_tagged
from studio.datasets.tokens import Counter, load_counter
from tests.studio.datasets.many import create_many


def style(store, texts, word="zog"):
    dataset = create_many(store, len(texts))
    ids = [row.id for row in store.index(dataset).rows()]
    captions.change_captions(store, dataset, dict(zip(ids, texts, strict=True)))
    return describe_style(store.index(dataset), word)


def test_a_phrase_in_eighteen_of_twenty_captions_is_told_with_its_number(store):
    texts = [f"zog {n} on the wooden table, {'red' if n % 2 else 'blue'} light" for n in range(18)] + [
        "zog in the grass",
        "zog waves, sunny light",
    ]
    assert style(store, texts).shared == (Shared("light", 19), Shared("wooden table", 18))


def test_the_trigger_word_and_small_words_are_not_told(store):
    assert style(store, [f"zog is on the way to place{n}" for n in range(10)]).shared == (Shared("way", 10),)
    assert style(store, [f"zog at a {n}" for n in range(10)]).shared == ()


def test_words_do_not_join_over_a_comma_and_a_longer_phrase_speaks_for_its_parts(store):
    assert {s.phrase for s in style(store, [f"{n}, old house, tall tree" for n in range(6)]).shared} == {"old house", "tall tree"}


def test_of_few_captions_nothing_is_said(store):
    assert style(store, ["zog on a wooden table"] * 4).shared == ()


def test_captions_without_words_do_not_count(store):
    found = style(store, ["zog, wooden table"] * 8 + [""] * 12)
    assert (found.written, found.shared) == (8, (Shared("wooden table", 8),))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("zog, red background, smiling", True),
        ("1girl, solo, looking at viewer, outdoors", True),
        ("A toy stands on a table, which is made of wood, and looks to the left.", False),
        ("zog on a red background", False),
        ("", False),
    ],
)
def test_tags_are_told_from_sentences(text, tags):
    assert is_tagged(text) is tags


@pytest.mark.parametrize(
    ("word", "kind", "warns", "says"),
    [
        ("cat", "known", True, "number 2,368 of 49,408"),
        ("emma", "known", True, "knows “emma” already"),
        ("sks", "rare", False, "a rare one: number 48,136"),
        ("glorp", "parts", False, "“gl” + “or” + “p”"),
        ("redcat9", "words", True, "knows “"),
    ],
)
def test_a_word_is_known_by_how_the_base_model_takes_it_apart(word, kind, warns, says):
    found = describe_word(load_counter("sdxl"), word, "SDXL")
    assert (found.kind, found.warns) == (kind, warns), found
    assert says in found.sentence


def test_of_a_small_vocabulary_only_what_it_lists_is_said():
    found = describe_word(load_counter("pocket-sdxl"), "zog", "Pocket")
    assert (found.kind, found.warns) == ("listed", False) and "1,909 tokens" in found.sentence


def test_without_a_tokenizer_nothing_is_claimed():
    found = describe_word(Counter(510, None), "cat", "Flux")
    assert (found.kind, found.warns) == ("", False) and "not on this machine" in found.sentence
    assert describe_word(Counter(510, None), "", "Flux").sentence == ""
