from __future__ import annotations

from bench.turns import Spent, summarize, take_turns


def test_loops_take_turns_and_every_other_round_goes_backwards():
    called = []
    loops = {name: lambda steps, name=name: called.append((name, steps)) for name in ("ours", "bare")}
    found = take_turns(loops, steps=2, rounds=3, warm_up=1)
    assert called[:2] == [("ours", 1), ("bare", 1)]
    assert [name for name, _ in called[2:]] == ["ours", "bare", "bare", "ours", "ours", "bare"]
    assert {name: len(spent) for name, spent in found.items()} == {"ours": 3, "bare": 3}


def test_what_is_done_between_turns_is_done_before_each_and_not_measured():
    called = []
    loops = {name: lambda steps, name=name: called.append(name) for name in ("ours", "load")}
    take_turns(loops, steps=1, rounds=1, warm_up=1, between=lambda: called.append("tidy"))
    assert called == ["tidy", "ours", "tidy", "load", "tidy", "ours", "tidy", "load"]


def test_a_ratio_is_taken_within_a_round():
    ours = [Spent(10, 20), Spent(40, 60), Spent(90, 30)]
    bare = [Spent(10, 10), Spent(20, 20), Spent(30, 30)]
    told = summarize({"ours": ours, "bare": bare})
    assert told["ours cpu ms"] == [10, 40, 90]
    assert told["ours/bare"] == [1.0, 2.0, 3.0]
    assert told["ours/bare, wall"] == [1.0, 2.0, 3.0]
    assert told["ours/bare, all rounds"] == round(140 / 60, 3)
    assert told["ours/bare, least"] == 1.0
