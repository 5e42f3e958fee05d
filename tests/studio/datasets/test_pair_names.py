"""Which side a file is, and of which pair, by what people call such files."""

from __future__ import annotations

import pytest

from studio.datasets.pair_names import looks_like_pairs, read_spot, same_file

LAYOUTS = {
    "two folders": ("input_images/001.png", "output_images/001.jpg"),
    "before and after": ("before/001.png", "after/001.png"),
    "source and target": ("My set/Source/001.png", "My set/Target/001.png"),
    "spaced and plural": ("Input images/a.png", "output-images/a.png"),
    "folders inside the sides": ("inputs/day/a.png", "outputs/day/a.png"),
    "one folder dropped alone": ("original_images/a.png", "My set/edited_images/a.png"),
    "suffixes": ("cat_before.png", "cat_after.png"),
    "suffixes in brackets": ("cat (before).png", "cat (after).png"),
    "input and output": ("cat-input.png", "cat-output.png"),
    "digits": ("cat_0.jpg", "cat_1.jpg"),
    "prefixes": ("before_cat.png", "after_cat.png"),
    "a folder a pair": ("cat/before.png", "cat/after.png"),
    "folder and suffix": ("before/cat_before.png", "after/cat_after.png"),
    "suffix on one side only": ("before/cat.png", "after/cat_edited.png"),
    "letters": ("a/cat.png", "b/cat.png"),
    "in a folder called edit": ("edit/cat_before.png", "edit/cat_after.png"),
    "capitals": ("INPUT/Cat.PNG", "output/cat.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_sides_of_a_pair_are_told_and_belong_together(layout):
    before, after = (read_spot(name) for name in LAYOUTS[layout])
    assert (before.side, after.side) == ("before", "after")
    assert before.belongs_with(after)


STRANGERS = {
    "another name": ("before/a.png", "after/b.png"),
    "another folder": ("train/before/a.png", "val/after/a.png"),
    "numbers in two folders": ("before/img_0.png", "after/img_1.png"),
    "another folder of pairs": ("one/cat_before.png", "two/cat_after.png"),
}


@pytest.mark.parametrize("layout", STRANGERS)
def test_what_is_of_two_pairs_does_not_belong_together(layout):
    before, after = (read_spot(name) for name in STRANGERS[layout])
    assert (before.side, after.side) == ("before", "after")
    assert not before.belongs_with(after)


@pytest.mark.parametrize("name", ["cat.png", "images/cat.png", "cat_2.png", "beforehand.png", "afternoon.png"])
def test_a_name_that_says_no_side_has_none(name):
    assert read_spot(name).side is None


@pytest.mark.parametrize(
    "name", ["001.txt", "001.png.txt", "001_before.txt", "output_images/001.txt", "instructions/001.txt", "prompts/001.txt"]
)
def test_a_text_belongs_to_the_pair_that_its_name_says(name):
    assert read_spot(name).belongs_with(read_spot("input_images/001.png"))


@pytest.mark.parametrize(
    ("names", "are"),
    [
        (["input_images/1.png", "output_images/1.png"], True),
        (["s/a_before.jpg", "s/a_after.jpg", "s/notes.txt", "s/a_before.txt"], True),
        (["before/1.png", "after/1.png", "before/2.png"], True),
        (["before/1.png", "before/2.png"], False),
        (["a_0.png", "a_1.png"], False),
        (["a/1.png", "b/1.png"], False),
        (["1.png", "2.png", "3.png", "x_before.png", "x_after.png"], False),
        (["original/zog.png", "zog.png"], False),
        ([], False),
    ],
)
def test_a_drop_is_taken_for_pairs_only_where_it_is_plain(names, are):
    assert looks_like_pairs(names) is are


@pytest.mark.parametrize(
    ("came", "expected", "same"),
    [
        ("set/input_images/1.png", "input_images/1.png", True),
        ("1.png", "input_images/1.png", True),
        ("Input_Images/1.PNG", "input_images/1.png", True),
        ("output_images/1.png", "input_images/1.png", False),
        ("input_images/11.png", "input_images/1.png", False),
    ],
)
def test_a_listed_file_is_known_also_with_other_folders_around_it(came, expected, same):
    assert same_file(came, expected) is same
