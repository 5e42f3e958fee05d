"""Who judges a run: always the same ones, whole groups of what belongs together, and a leak only where none can be avoided."""

from __future__ import annotations

import random

import pytest

from studio.datasets.split import Leak, choose_held_out, compute_split, find_leaks, join_groups

IDS = [f"{n:03d}" for n in range(100)]


def test_without_copies_the_first_of_the_ids_judge_as_they_always_did():
    assert choose_held_out(IDS, 0.1) == set(IDS[:10])
    assert choose_held_out(IDS, 0) == choose_held_out(IDS[:1], 0.5) == set()


@pytest.mark.parametrize("seed", range(20))
def test_no_group_of_copies_is_ever_parted_and_the_share_is_kept_while_single_pictures_are_there(seed):
    rng = random.Random(seed)
    ids = rng.sample(IDS, 100)
    kin = [ids[at : at + rng.randint(2, 6)] for at in range(0, 60, 6)]
    held_out = choose_held_out(ids, 0.1, kin=kin)
    assert find_leaks(held_out, kin) == [] and len(held_out) == 10
    assert held_out == choose_held_out(sorted(ids), 0.1, kin=[group[::-1] for group in kin[::-1]])


def test_pairs_of_one_picture_before_and_their_near_copies_hang_together():
    inputs = [f"before {n // 2}" for n in range(100)]
    kin = [["001", "002"], ["003", "004"]]
    held_out = choose_held_out(IDS, 0.1, inputs, kin)
    chain = {"000", "001", "002", "003", "004", "005"}
    assert held_out & chain in (set(), chain) and len(held_out) == 10
    assert all((IDS[n] in held_out) == (IDS[n + 1] in held_out) for n in range(0, 100, 2))


def test_where_every_picture_has_a_twin_the_smallest_group_judges_whole():
    kin = [IDS[at : at + 2] for at in range(0, 12, 2)]
    held_out = choose_held_out(IDS[:12], 0.1, kin=kin)
    assert len(held_out) == 2 and find_leaks(held_out, kin) == []


def test_where_all_are_copies_of_each_other_they_are_parted_and_the_leak_is_told():
    split = compute_split(IDS[:12], 0.1, (), [IDS[:12]])
    assert (split.training, split.held_out, split.together) == (11, 1, [])
    assert split.leaks == [Leak("000", IDS[1:12])]


def test_ids_of_copies_that_are_not_among_the_pictures_are_passed_over():
    assert choose_held_out(IDS[:10], 0.1, kin=[["000", "gone"], ["never", "was"]]) == {"000"}


def test_links_that_share_an_id_make_one_group():
    assert sorted(join_groups([["a", "b"], ["c", "d"], ["b", "c"], ["e"], ["f", "g"]])) == [["a", "b", "c", "d"], ["f", "g"]]


def test_where_a_person_chose_exactly_these_judge_with_what_belongs_to_them_whatever_the_share():
    kin = [["050", "071", "072"], ["001", "002"]]
    for share in (0, 0.1, 0.5):
        assert choose_held_out(IDS, share, kin=kin, chosen=["050", "099"]) == {"050", "071", "072", "099"}
    inputs = [f"before {n // 2}" for n in range(100)]
    assert choose_held_out(IDS, 0.1, inputs, kin, ["010"]) == {"010", "011"}
    assert choose_held_out(IDS, 0.1, kin=kin, chosen=["gone"]) == choose_held_out(IDS, 0.1, kin=kin)


def test_a_split_tells_who_was_chosen_and_which_near_copies_went_along():
    split = compute_split(IDS, 0.1, (), [["050", "071"]], ["050", "099", "gone"])
    assert (split.training, split.held_out, split.chosen, split.along, split.leaks) == (97, 3, 2, ["071"], [])
    assert split.say_chosen() == "2 chosen by you and 1 near copy of them"
    assert compute_split(IDS, 0.1, (), [], ["050"]).say_chosen() == "chosen by you"
    assert compute_split(IDS, 0.1, (), []).say_chosen() == ""
    named = split.renamed({one: f"row {one}" for one in IDS})
    assert (named.chosen, named.along) == (2, ["row 071"])


def test_all_may_be_chosen_which_whoever_starts_a_run_refuses():
    split = compute_split(IDS[:4], 0.1, (), [IDS[:4]], ["000"])
    assert (split.training, split.held_out, len(split.along)) == (0, 4, 3)
