"""The test strip by its routes: proposed, drawn by the real worker cell by cell, starred, kept, exported."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.adapters import write_adapter
from tests.run_folders import RunWriter, finished_run
from tests.waiting import wait_for_end

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_id(client):
    """A finished run whose checkpoints at 80 and 160 are real LoRAs."""
    writer = finished_run(client.app.state.context.workspace, "strip")
    for step in (80, 160):
        write_adapter(writer.run.weights(step), step)
    return writer.run_id


@pytest.fixture(scope="module")
def drawn(client, run_id):
    """The comparison after all its cells are there."""
    started = client.post(f"/api/runs/{run_id}/compare", json={})
    assert started.status_code == 200, started.text
    assert started.json()["state"] == "running"
    return wait_for_end(lambda: client.get(f"/api/runs/{run_id}/compare/status").json())


def cell(client, run_id, status, row, column):
    return client.get(f"/media/compare/{run_id}/{status['cells'][row][column]['name']}.png").content


def test_what_is_proposed_before_anything_is_drawn(client, context):
    finished_run(context.workspace, "proposed")
    found = client.get("/api/runs/proposed/compare").json()
    assert found["status"] is None
    assert found["proposed"]["steps"] == [80, 160]
    assert len(found["proposed"]["prompts"]) == 3
    assert found["star"] == found["best"] == 160


def test_of_many_checkpoints_eight_are_proposed_with_the_best_and_the_last(client, context):
    writer = RunWriter(context.workspace, "many", max_steps=400)
    for step in range(10, 401, 10):
        writer.checkpoint(step)
    writer.event("eval", step=170, loss=0.01, se=0.001, n=8)
    steps = client.get("/api/runs/many/compare").json()["proposed"]["steps"]
    assert len(steps) == 8
    assert {170, 400} <= set(steps)
    assert steps == sorted(steps)


def test_every_cell_is_drawn_and_the_columns_differ(client, run_id, drawn):
    assert (drawn["state"], drawn["reason"]) == ("done", "")
    assert drawn["done"] == drawn["total"] == 9
    assert [c["step"] for c in drawn["columns"]] == [0, 80, 160]
    first_row = [cell(client, run_id, drawn, 0, c) for c in range(3)]
    assert len(set(first_row)) == 3
    assert Image.open(io.BytesIO(first_row[0])).size == (128, 128)


def test_a_cell_comes_in_the_size_it_is_shown_in(client, run_id, drawn):
    name = drawn["cells"][0][1]["name"]
    answer = client.get(f"/media/compare/{run_id}/{name}.png?w=384")
    assert Image.open(io.BytesIO(answer.content)).size == (384, 384)
    assert "immutable" in answer.headers["cache-control"]


def test_at_scale_0_every_column_is_the_base(client, run_id, drawn):
    status = client.post(f"/api/runs/{run_id}/compare", json={"scale": 0}).json()
    for r, row in enumerate(status["cells"]):
        assert {c["name"] for c in row} == {drawn["cells"][r][0]["name"]}
    assert status["done"] == status["total"]


@pytest.mark.parametrize(
    "wish, words",
    [
        ({"steps": [81]}, "81"),
        ({"steps": []}, "checkpoints"),
        ({"prompts": ["  "]}, "prompts"),
        ({"prompts": ["a"] * 17}, "17"),
        ({"seed": -1}, "Seed"),
        ({"scale": 9}, "from 0 to 1.5"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_plain_words(client, run_id, wish, words):
    answer = client.post(f"/api/runs/{run_id}/compare", json=wish)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["text"]


def test_the_star_and_the_kept_step_are_remembered(client, context):
    finished_run(context.workspace, "remembers")
    assert client.post("/api/runs/remembers/star", json={"step": 80}).status_code == 204
    assert client.get("/api/runs/remembers/compare").json()["star"] == 80
    assert client.post("/api/runs/remembers/keep", json={"step": 80}).status_code == 204
    assert client.get("/api/runs/remembers/compare").json()["kept"] == 80
    assert client.get("/api/runs/remembers").json()["kept_step"] == 80
    for action in ("star", "keep"):
        refused = client.post(f"/api/runs/remembers/{action}", json={"step": 81})
        assert refused.status_code in (400, 404)
        assert "81" in refused.json()["error"]["text"]


def test_the_export_is_one_png_with_its_settings_inside(client, run_id, drawn):
    answer = client.get(f"/api/runs/{run_id}/compare/sheet.png")
    assert 'filename="strip-compare.png"' in answer.headers["content-disposition"]
    sheet = Image.open(io.BytesIO(answer.content))
    assert sheet.width > 3 * 128
    assert sheet.height > 3 * 128
    assert "zog on a red background" in " ".join(str(v) for v in sheet.info.values())


def test_nothing_to_export_is_said(client, context):
    finished_run(context.workspace, "unexported")
    answer = client.get("/api/runs/unexported/compare/sheet.png")
    assert "Start the comparison first" in answer.json()["error"]["text"]


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fstatus", "status", "A" * 32, "0" * 32, "0" * 33])
def test_only_cells_are_served(client, run_id, name):
    assert client.get(f"/media/compare/{run_id}/{name}.png").status_code in (400, 404)
