"""The test strip of a run, from a real run folder through the real generator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.workers.compare import ComparisonStore
from studio.workers.compare_plan import likely_best, read_losses
from tests.adapters import write_adapter
from tests.waiting import wait_for_end, wait_until

pytestmark = pytest.mark.slow
TWO = ["zog on a red background", "a cat on a green background"]


@pytest.fixture(scope="module")
def store(workspace, generator):
    return ComparisonStore(workspace, generator)


def finish(store, run_id):
    status = wait_for_end(lambda: store.status(run_id))
    assert status["state"] == "done", status
    return status


def pixels(store, run_id, name):
    return np.asarray(Image.open(store.cell(run_id, name)))


def test_every_checkpoint_and_the_base_are_drawn_for_the_runs_own_prompts(store, make_run):
    run = make_run("plain").run
    began = store.start("plain")
    assert began["state"] == "running" and began["total"] == 9
    status = finish(store, "plain")
    assert [c["step"] for c in status["columns"]] == [0, 80, 160]
    assert [p["text"] for p in status["prompts"]] == ["zog on a red background", "zog on a blue background", "a cat on a green background"]
    assert [p["trained"] for p in status["prompts"]] == [True, True, False]
    assert status["done"] == status["total"] == 9
    losses = read_losses(run)
    assert [c["heldout_loss"] for c in status["columns"]] == [losses[s] for s in (0, 80, 160)]
    assert [c["best"] for c in status["columns"]] == [False, False, True]
    shown = [[pixels(store, "plain", c["name"]) for c in row] for row in status["cells"]]
    assert all(not np.array_equal(row[i], row[j]) for row in shown for i, j in ((0, 1), (1, 2)))


def test_the_likely_best_comes_first_then_the_base(store, make_run):
    writer = make_run("order", prompts=TWO)
    assert likely_best(writer.run, [80, 160], {80: 0.1, 160: 0.2}) == 80
    files.write_json(writer.run.kept, {"step": 80})
    store.start("order")
    status = finish(store, "order")
    drawn = [[store.cell("order", row[c]["name"]).stat().st_mtime_ns for row in status["cells"]] for c in range(3)]
    assert max(drawn[1]) < min(drawn[0]) < max(drawn[0]) < min(drawn[2])
    assert [c["kept"] for c in status["columns"]] == [False, True, False]


def test_cells_are_drawn_once_and_found_again_also_by_another_studio(store, make_run, workspace, generator):
    make_run("cached", prompts=TWO)
    store.start("cached")
    first = finish(store, "cached")
    times = {p: p.stat().st_mtime_ns for p in (workspace.cache / "compare" / "cached").glob("*.png")}
    assert len(times) == 6
    another = ComparisonStore(workspace, generator)
    assert another.status("cached")["cells"] == first["cells"]
    another.start("cached", prompts=[TWO[1], "a red apple"])
    second = finish(another, "cached")
    assert second["cells"][0] == first["cells"][1]
    now = {p: p.stat().st_mtime_ns for p in (workspace.cache / "compare" / "cached").glob("*.png")}
    assert len(now) == 9 and {p: now[p] for p in times} == times


def test_another_seed_scale_or_adapter_is_another_cell(store, make_run):
    writer = make_run("names", prompts=TWO[:1])
    names = []
    for wish in ({}, {"seed": 7}, {"scale": 0.5}, {"values": {"negative_prompt": "snow"}}):
        names.append(store.start("names", **wish)["cells"][0][1]["name"])
        finish(store, "names")
    write_adapter(writer.run.weights(80), 999)
    names.append(store.start("names")["cells"][0][1]["name"])
    finish(store, "names")
    assert len(set(names)) == 5


def test_at_scale_0_every_column_is_the_base_and_it_is_drawn_once(store, make_run, workspace):
    make_run("zero", prompts=TWO)
    store.start("zero", scale=0)
    status = finish(store, "zero")
    assert all(len({c["name"] for c in row}) == 1 for row in status["cells"])
    assert len(list((workspace.cache / "compare" / "zero").glob("*.png"))) == 2


def test_a_new_start_makes_the_one_under_way_give_room(store, make_run):
    make_run("moved", prompts=TWO)
    store.start("moved", scale=1.0, values={"num_inference_steps": 150})
    store.start("moved", scale=0.5)
    status = finish(store, "moved")
    assert status["scale"] == 0.5 and status["done"] == status["total"] == 6


def test_cancelling_keeps_what_is_ready(store, make_run):
    make_run("stopped", prompts=TWO)
    store.start("stopped", values={"num_inference_steps": 100})
    wait_until(lambda: store.status("stopped")["done"] >= 2)
    store.cancel("stopped")
    status = wait_for_end(lambda: store.status("stopped"))
    assert status["state"] == "cancelled" and 2 <= status["done"] < 6


def test_a_comparison_that_died_with_its_studio_counts_as_interrupted(store, make_run, workspace, generator):
    make_run("died", prompts=TWO)
    store.start("died")
    finish(store, "died")
    path = workspace.cache / "compare" / "died" / "status.json"
    files.write_json(path, {**files.read_json(path), "state": "running", "owner": {"pid": 2**22 + 1, "created": 1.0}})
    status = ComparisonStore(workspace, generator).status("died")
    assert status["state"] == "interrupted" and status["done"] == 6


def test_the_sheet_has_every_cell_at_full_size_and_the_settings_inside(store, make_run):
    make_run("sheet", prompts=TWO)
    with pytest.raises(DarkroomError, match="nothing to export"):
        store.export_png("sheet")
    store.start("sheet")
    status = finish(store, "sheet")
    sheet = Image.open(store.export_png("sheet"))
    settings = json.loads(sheet.info["darkroom"])
    assert settings["prompts"] == TWO and [c["step"] for c in settings["columns"]] == [0, 80, 160]
    assert settings["seed"] == status["seed"] and settings["base_model"] == "pocket-sdxl"
    full = np.asarray(sheet)
    for row in status["cells"]:
        for cell in row:
            part = pixels(store, "sheet", cell["name"])
            windows = np.lib.stride_tricks.sliding_window_view(full[:, :, 0], (1, 128))[:, :, 0]
            assert (windows == part[64, :, 0]).all(axis=-1).any()


def test_closeness_is_measured_against_the_runs_own_pictures_and_the_base_has_0(store, make_run):
    writer = make_run("near", prompts=TWO)
    store.start("near")
    assert finish(store, "near")["closeness"] is None
    target = store.cell("near", store.status("near")["cells"][0][2]["name"])
    line = {"id": "x", "file": str(target), "caption": "zog", "width": 128, "height": 128, "held_out": False}
    writer.run.manifest.write_text(json.dumps(line) + "\n")
    store.start("near")
    closeness = finish(store, "near")["closeness"]
    assert closeness["0"] == 0 and closeness["160"] == 1 and 0 <= closeness["80"] < 1


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"steps": [81]}, "no checkpoint at step 81. It has: 80, 160"),
        ({"steps": []}, "0 checkpoints"),
        ({"prompts": ["  "]}, "0 prompts"),
        ({"prompts": ["a"] * 17}, "17 prompts"),
        ({"scale": 3}, "weight|LoRAs"),
        ({"seed": -1}, "Seed is -1"),
        ({"values": {"width": 100_000}}, "Width is 100000"),
        ({"values": {"colour": "red"}}, "no setting “colour”"),
    ],
)
def test_a_wish_that_cannot_be_drawn_is_refused_before_it_starts(store, make_run, workspace, wish, reason):
    if not (workspace.runs / "refused").exists():
        make_run("refused")
    with pytest.raises(DarkroomError, match=reason):
        store.start("refused", **wish)
    assert store.status("refused") is None


@pytest.mark.parametrize("name", ["../status", "status", "x" * 32, "", "a" * 32])
def test_cells_are_found_by_their_name_only(store, make_run, workspace, name):
    if not (workspace.runs / "named").exists():
        make_run("named")
    with pytest.raises(DarkroomError):
        store.cell("named", name)
    with pytest.raises(DarkroomError):
        store.status("../named")
