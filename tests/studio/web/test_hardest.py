"""The table of each picture's loss: the one that stands out is marked, and each row leads to its picture."""

from __future__ import annotations

import json

import pytest

from backends.contract import files
from studio.web.hardest import find_odd
from tests.run_folders import finished_run

ALIKE = {f"p{n}": 0.20 + 0.01 * (n % 3) for n in range(9)}


@pytest.mark.parametrize(
    ("means", "odd"),
    [
        (ALIKE, set()),
        ({**ALIKE, "wrong": 0.31}, {"wrong"}),
        ({**ALIKE, "hard": 0.25}, set()),  # by a quarter at least
        ({**ALIKE, "wrong": 0.31, "wronger": 0.9}, {"wrong", "wronger"}),
        ({f"p{n}": 0.1 * n for n in range(1, 10)}, set()),  # all differ: none stands out
        ({"a": 0.1, "b": 0.1, "c": 0.9}, set()),  # too few to tell
    ],
)
def test_one_stands_out_where_it_is_far_from_what_is_usual(means, odd):
    assert find_odd(means) == odd


def test_the_route_gives_names_captions_thumbnails_and_the_odd_one(client, context):
    writer = finished_run(context.workspace, "with-a-table")
    ids = [f"{n:x}" * 64 for n in range(1, 7)]
    rows = [{"id": i, "file": f"/gone/{n}.png", "caption": f"caption {n}", "held_out": n == 0} for n, i in enumerate(ids)]
    writer.run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"id": i, "name": f"{n}.png", "start": 0.5, "mean": 0.9 if n == 3 else 0.3, "now": 0.2} for n, i in enumerate(ids) if n]
    files.write_json(writer.run.picture_losses, {"step": 200, "asked": 5, "pictures": asked})
    told = client.get("/api/runs/with-a-table/pictures").json()
    assert told["step"] == 200
    assert [(p["name"], p["caption"], p["odd"]) for p in told["pictures"]] == [(f"{n}.png", f"caption {n}", n == 3) for n in range(1, 6)]
    assert [p["src"] for p in told["pictures"]] == [f"/media/run/with-a-table/picture/{n}.webp" for n in range(5)]
    assert not any(p["link"] for p in told["pictures"])  # its data set is gone


def test_a_run_that_was_not_asked_has_no_table(client, context):
    finished_run(context.workspace, "without-a-table")
    assert client.get("/api/runs/without-a-table/pictures").json() == {"step": 0, "pictures": []}
