"""In which order tags are read and when a caption is left out: fair, the same each time, and the first ones where they were."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from backends.contract.caption_reading import MOST_ORDERS, Reading, TagOrders, draw_drop, draw_order, name_samples, split_tags
from backends.contract.chance import draw_share

TAGS = "zog, red wall, smiling, waving, at night"


@pytest.mark.parametrize("keep", range(6))
@pytest.mark.parametrize("most", [2, 8, 64, None])
def test_the_first_tags_keep_their_place_and_no_tag_is_lost(keep, most):
    how = TagOrders(keep, most)
    for visit in range(200):
        read = split_tags(how.pick(TAGS, draw_order(1, "a", visit)))
        assert read[:keep] == split_tags(TAGS)[:keep] and sorted(read) == sorted(split_tags(TAGS))


@pytest.mark.parametrize("caption", ["zog on a red wall", "zog on a red wall, smiling", "", ",", "zog,  smiling , "])
def test_prose_and_captions_with_too_few_tags_stay_as_they_are_letter_by_letter(caption):
    for most in (8, None):
        how = TagOrders(1, most)
        assert {how.pick(caption, draw_order(1, "a", visit)) for visit in range(20)} == {caption}
        assert how.count(caption) == 1


@pytest.mark.parametrize("tag", ["zog", "a photo of Zog", "zog."])
def test_a_trigger_word_at_the_start_stays_even_where_no_tag_is_kept(tag):
    caption = f"{tag}, red wall, smiling, waving"
    word, none = TagOrders(0, None, "zog"), TagOrders(0, None)
    first = [{split_tags(how.pick(caption, draw_order(1, "a", visit)))[0] for visit in range(200)} for how in (word, none)]
    assert first == [{tag}, {tag, "red wall", "smiling", "waving"}]
    moved = TagOrders(0, None, "zo")  # not a word of its own there
    assert len({split_tags(moved.pick(caption, draw_order(1, "a", visit)))[0] for visit in range(200)}) == 4


@pytest.mark.parametrize(
    ("tags", "most", "wanted"), [("a, b", 8, 1), ("a, b, c", 8, 2), ("a, b, c, d", 8, 6), ("a, b, c, d, e", 8, 8), ("a, b, b, c", 8, 3)]
)
def test_there_are_so_many_orders_as_there_can_be_each_once_and_the_written_one_first(tags, most, wanted):
    how = TagOrders(1, most)
    found = how.list_all(tags)
    assert len(found) == len(set(found)) == how.count(tags) == wanted and found[0] == tags


@pytest.mark.parametrize("number", [3, 6, 7, 12, 40])
def test_a_bounded_number_of_orders_is_drawn_of_any_number_of_tags(number):
    tags = ", ".join(f"tag {n}" for n in range(number))
    found = TagOrders(0, MOST_ORDERS).list_all(tags)
    assert len(set(found)) == len(found) == min(math.factorial(number), MOST_ORDERS)
    if number > 6:  # not only the last ones moved
        assert len({split_tags(text)[0] for text in found}) > 3


@pytest.mark.parametrize("number", range(3, 9))
def test_more_orders_begin_with_the_fewer_so_that_those_are_not_encoded_again(number):
    tags = ", ".join(f"tag {n}" for n in range(number))
    found = [TagOrders(1, most).list_all(tags) for most in (2, 4, 8, 16, 64)]
    assert all(more[: len(fewer)] == fewer for fewer, more in itertools.pairwise(found))


@pytest.mark.parametrize("most", [8, None])
def test_each_order_comes_equally_often_over_many_passes(most):
    how = TagOrders(1, most)
    for caption in ("zog, a, b, c", TAGS):
        number = how.count(caption)
        passes = 400 * number
        seen = Counter(how.pick(caption, draw_order(5, "one picture", visit)) for visit in range(passes))
        assert len(seen) == number
        assert max(abs(count - 400) for count in seen.values()) < 5 * 400**0.5  # five deviations


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_captions_are_left_out_as_often_as_wanted_and_never_at_none(share):
    reading, never = Reading(3, share), Reading(3, 0.0)
    empty = sum(reading.read(TAGS, f"{n}", visit) == "" for n in range(100) for visit in range(100))
    assert abs(empty - 10_000 * share) < 5 * (10_000 * share * (1 - share)) ** 0.5
    assert all(never.read(TAGS, f"{n}", 0) == TAGS for n in range(500))


def test_samples_and_passes_are_drawn_apart_and_the_same_again():
    reading = Reading(3, 0.3, TagOrders(1, None))
    told = [[reading.read(TAGS, sample, visit) for visit in range(30)] for sample in ("a", "b")]
    assert told == [[Reading(3, 0.3, TagOrders(1, None)).read(TAGS, sample, visit) for visit in range(30)] for sample in ("a", "b")]
    assert told[0] != told[1] and told[0] != [Reading(4, 0.3, TagOrders(1, None)).read(TAGS, "a", visit) for visit in range(30)]


def test_draws_are_the_numbers_that_they_were_so_that_what_was_encoded_and_shown_stays_true():
    assert draw_order(1, "a", 0) == 3191352731329673621
    assert draw_drop(1, "a", 0) == pytest.approx(0.06339635, abs=1e-8)
    assert TagOrders(1, 8).list_all("zog, a, b, c")[:3] == ("zog, a, b, c", "zog, b, c, a", "zog, c, a, b")


def test_a_share_is_below_one():
    assert all(0 <= draw_share(n) < 1 for n in range(2000))


def test_a_sample_that_comes_again_has_a_name_of_its_own():
    assert name_samples(["a", "b", "a", "a"]) == ["a", "b", "a+1", "a+2"]


def test_orders_that_are_not_bounded_are_not_listed():
    with pytest.raises(ValueError, match="not listed"):
        TagOrders(1, None).list_all(TAGS)
