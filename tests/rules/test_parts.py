"""The parts in which the suite runs side by side are parts that there are."""

from __future__ import annotations

from tests.learning import PRESETS
from tests.rules.source import ROOT
from tests.side_by_side import BROWSER, LEARNING, LONGEST, PAGES, find_part

FILES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("test_*.py"))]


def test_what_begins_first_has_tests():
    parts = {find_part(f"{file}::test_it") for file in FILES} | {find_part(f"{LEARNING}::test_it[right-{name}]") for name in PRESETS}
    assert set(LONGEST) <= parts


def test_every_page_that_is_named_has_tests():
    for page in (page for pages in PAGES.values() for page in pages):
        assert any(file.startswith(f"{BROWSER}test_{page}") for file in FILES), page


def test_what_one_method_learns_is_looked_at_where_it_was_learnt():
    where = find_part(f"{LEARNING}::test_right_data_are_learnt_and_wrong_ones_are_not[wrong-sd15/instruct_pix2pix]")
    assert find_part(f"{LEARNING}::test_told_to_make_it_blue_a_background_becomes_blue_and_the_subject_stays") == where
    assert find_part(f"{LEARNING}::test_neither_the_base_nor_a_training_on_wrong_pairs_edits_so[wrong]") == where
    asked = find_part(f"{LEARNING}::test_a_picture_of_something_else_and_a_caption_of_something_else_stand_out_among_twelve")
    assert asked == find_part(f"{LEARNING}::test_right_data_are_learnt_and_wrong_ones_are_not[right-sdxl/text_to_image]")
