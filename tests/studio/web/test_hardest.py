"""The table of each picture's loss: the one that stands out is marked, and each row leads to its picture."""

from __future__ import annotations

import json

import pytest

from backends.contract import files
from backends.contract.rundir import RunDir
from studio.web.hardest import describe_pictures, find_odd
from tests.run_folders import finished_run

ALIKE = {f"p{n}": 0.20 + 0.01 * (n % 3) for n in range(9)}


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        (ALIKE, set()),
        ({**ALIKE, "wrong": 0.31}, {"wrong"}),
        ({**ALIKE, "hard": 0.25}, set()),  # by a quarter at least
        ({**ALIKE, "wrong": 0.31, "wronger": 0.9}, {"wrong", "wronger"}),
        ({f"p{n}": 0.1 * n for n in range(1, 10)}, set()),  # all differ: none stands out
        ({"a": 0.1, "b": 0.1, "c": 0.9}, set()),  # too few to tell
    ],
)
def test_one_stands_out_where_it_is_far_from_what_is_usual(values, odd):
    assert find_odd(values) == odd


def test_the_route_gives_names_captions_thumbnails_and_the_odd_one(client, context):
    writer = finished_run(context.workspace, "with-a-table")
    ids = [f"{n:x}" * 64 for n in range(1, 7)]
    rows = [{"id": i, "file": f"/gone/{n}.png", "caption": f"caption {n}", "held_out": n == 0} for n, i in enumerate(ids)]
    writer.run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"id": i, "name": f"{n}.png", "start": 0.5, "mean": 0.9 if n == 3 else 0.3, "now": 0.2} for n, i in enumerate(ids) if n]
    files.write_json(writer.run.picture_losses, {"step": 200, "asked": 5, "pictures": asked})
    told = client.get("/api/runs/with-a-table/pictures").json()
    assert told["step"] == 200
    assert [(p["name"], p["caption"], p["odd"]) for p in told["pictures"]] == [
        (f"{n}.png", f"caption {n}", "hard" if n == 3 else "") for n in range(1, 6)
    ]
    assert [p["src"] for p in told["pictures"]] == [f"/media/run/with-a-table/picture/{n}.webp" for n in range(5)]
    assert not any(p["link"] for p in told["pictures"])  # its data set is gone


def test_an_easy_picture_of_which_nothing_was_learnt_stands_out_too(tmp_path):
    """As a flat drawing does among photographs of the subject: its loss is the lowest of all, and stays where it was."""
    run = RunDir(tmp_path)
    rows = [{"id": f"{n}", "name": f"{n}.png", "start": 0.40 + n / 50, "mean": 0.24 + n / 70, "now": 0.15} for n in range(8)]
    files.write_json(
        run.picture_losses, {"step": 60, "pictures": [*rows, {"id": "x", "name": "x.png", "start": 0.23, "mean": 0.22, "now": 0.21}]}
    )
    told = describe_pictures(run, "run", {})["pictures"]
    assert {row["name"]: row["odd"] for row in told if row["odd"]} == {"x.png": "unlearnt"}


def test_a_run_that_was_not_asked_has_no_table(client, context):
    finished_run(context.workspace, "without-a-table")
    assert client.get("/api/runs/without-a-table/pictures").json() == {"step": 0, "pictures": []}


def test_what_the_data_set_still_has_is_named_as_there_and_leads_to_its_place(tmp_path):
    run = RunDir(tmp_path)
    asked = [{"id": i, "name": f"{i}.png", "start": 0.5, "mean": 0.3, "now": 0.2} for i in ("aa", "bb+1")]
    files.write_json(run.picture_losses, {"step": 9, "pictures": asked})
    told = describe_pictures(run, "edits-01", {"aa": ("row-7", "042"), "bb": ("row-8", "043")})["pictures"]
    assert [(p["name"], p["link"]) for p in told] == [("042", "row-7"), ("043", "row-8")]
