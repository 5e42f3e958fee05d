"""Edits through the real worker: kept with all that it takes to draw them again, in a strip, and compared over a run's pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.contract.pictures import cover
from studio.workers.compare import ComparisonStore
from studio.workers.draw_jobs import DrawJobs, Strip
from studio.workers.history import History
from studio.workers.inputs import InputShelf
from studio.workers.loras import LoraShelf
from tests.adapters import write_adapter, write_whole
from tests.edit_runs import sample_picture, write_edit_run
from tests.waiting import wait_for_end

pytestmark = pytest.mark.slow
EDIT = {"prompt": "make the background blue", "num_inference_steps": 3, "seed": 4, "loras": [{"key": "run:edits@80", "weight": 1}]}


@pytest.fixture(scope="module")
def run(workspace):
    return write_edit_run(workspace, "edits")


@pytest.fixture(scope="module")
def image(workspace):
    return InputShelf(workspace).add(sample_picture(), "apple.webp")


@pytest.fixture(scope="module")
def jobs(workspace, generator, run):
    return DrawJobs(workspace, generator)


@pytest.fixture(scope="module")
def history(workspace):
    return History(workspace)


@pytest.fixture(scope="module")
def store(workspace, generator, run):
    return ComparisonStore(workspace, generator)


def finish(jobs, job):
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "done", status
    return status


def pixels(path):
    return np.asarray(Image.open(path))


def test_an_edit_is_kept_with_all_that_it_takes_to_draw_it_again(jobs, history, image, run):
    first = finish(jobs, jobs.start({**EDIT, "image": image.id, "image_guidance_scale": 1.8}))
    assert first["edits"]
    output = history.get(first["pictures"][0]["id"])
    assert output.settings["image"] == {"id": image.id, "name": "apple.webp", "width": 128, "height": 128}
    assert (output.settings["base_model"], output.settings["image_guidance_scale"]) == ("pocket-sd15", 1.8)
    again = finish(jobs, jobs.start(output.settings))
    assert np.array_equal(*(pixels(history.path(s["pictures"][0]["id"])) for s in (first, again)))
    told = json.loads(Image.open(history.path(output.id)).info["darkroom"])
    assert told["image"]["name"] == f"{image.id}.png" and len(told["image"]["sha256"]) == 16
    assert "Image CFG scale: 1.8" in Image.open(history.path(output.id)).info["parameters"]
    data = history.path(output.id).read_bytes() + json.dumps(output.settings).encode()
    assert str(run.root.parents[1]).encode() not in data


def test_a_strip_goes_over_how_closely_the_picture_is_kept(jobs, history, image):
    status = finish(jobs, jobs.start({**EDIT, "image": image.id}, strip=Strip("image_guidance_scale", (1.0, 1.5, 3.0))))
    assert [p["label"] for p in status["pictures"]] == ["1.00", "1.50", "3.00"]
    assert [history.get(p["id"]).settings["image_guidance_scale"] for p in status["pictures"]] == [1, 1.5, 3]
    assert len({pixels(history.path(p["id"])).tobytes() for p in status["pictures"]}) == 3
    assert status["strip"] == {"over": "image_guidance_scale", "values": [1.0, 1.5, 3.0], "key": "run:edits@80"}


def test_the_history_tells_edits_from_pictures_made_of_words(jobs, history, image):
    edit = finish(jobs, jobs.start({**EDIT, "image": image.id}))["pictures"][0]["id"]
    words = finish(jobs, jobs.start({"prompt": "a cat", "num_inference_steps": 2}))["pictures"][0]["id"]
    assert history.list(limit=1, edits=True)[0].id == edit
    assert history.list(limit=1, edits=False)[0].id == words
    assert history.list(limit=1)[0].id == words
    assert [o.id for o in history.list(1, 1, edits=True)] != [edit]


def test_a_picture_of_another_shape_is_drawn_in_its_own_shape(jobs, history, workspace, tmp_path):
    Image.new("RGB", (300, 150), "#d84b3a").save(tmp_path / "wide.png")
    wide = InputShelf(workspace).add(tmp_path / "wide.png", "wide.png")
    status = finish(jobs, jobs.start({**EDIT, "image": wide.id}))
    output = history.get(status["pictures"][0]["id"])
    assert Image.open(history.path(output.id)).size == (output.settings["width"], output.settings["height"]) == (184, 88)


@pytest.mark.parametrize(
    ("values", "words", "field"),
    [
        ({"image": "../../etc/passwd"}, "not the id of a picture", "image"),
        ({"image": "0" * 24}, "not there any more", "image"),
        ({"image_guidance_scale": 0.5, "image": True}, "Keep the picture is 0.5; it must be a number from 1 to 10", "image_guidance_scale"),
        ({"image_guidance_scale": 1.5}, "There is no picture to keep", "image_guidance_scale"),
        ({"base_model": "pocket-flux", "image": True}, "Pocket Flux cannot be taught to edit", "image"),
    ],
)
def test_an_edit_that_cannot_be_drawn_is_refused_at_its_field_before_anything_starts(jobs, image, values, words, field):
    with pytest.raises(DarkroomError, match=words) as refused:
        jobs.start({**EDIT, **values, **({"image": image.id} if values.get("image") is True else {})})
    assert refused.value.field == field


def test_without_a_model_that_edits_the_worker_says_so_before_it_draws(jobs, image):
    job = jobs.start({**EDIT, "loras": [], "base_model": "pocket-sd15", "image": image.id})
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "failed" and "Pocket 1.5 by itself does not edit pictures" in status["reason"]
    job = jobs.start(EDIT)
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "failed" and "Choose a picture to edit" in status["reason"]


def test_a_misfit_anywhere_in_a_strip_stops_it_before_the_first_picture(jobs, workspace):
    path = write_whole(workspace.temporary / "mine.safetensors", 1, base="pocket-sdxl")
    info = LoraShelf(workspace).add(path, "Mine.safetensors")
    assert (info.kind, info.family, info.base_model) == ("model", "sdxl", "pocket-sdxl")
    values = {"prompt": "a cat", "num_inference_steps": 2, "loras": [{"key": info.key}]}
    job = jobs.start(values, strip=Strip("weight", (0.5, 1.0, 1.5)))
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "failed" and "a whole model goes from 0" in status["reason"]
    assert not any(p["ready"] for p in status["pictures"])


def test_the_shelf_tells_what_each_result_is(workspace, run):
    shelf = LoraShelf(workspace)
    own = {i.key: (i.kind, i.family, i.base_model) for i in shelf.list(checkpoints=True) if "edits" in i.key}
    assert own["run:edits@40"] == own["run:edits"] == ("edit", "sd15", "pocket-sd15")
    lora = shelf.take(write_adapter(workspace.temporary / "flux look.safetensors", 2, base="pocket-flux"))
    assert (lora.kind, lora.family, lora.base_model) == ("lora", "flux", "pocket-flux")
    assert shelf.take(workspace.temporary / "flux look.safetensors").key == lora.key


def test_pairs_are_compared_with_what_they_were_and_should_become_beside_them(store, run):
    began = store.start("edits")
    assert began["edits"] and began["total"] == 4
    status = wait_for_end(lambda: store.status("edits"))
    assert status["state"] == "done", status
    assert [(c["side"], c["step"]) for c in status["columns"]] == [("before", 0), ("target", 0), ("", 40), ("", 80)]
    assert [c["best"] for c in status["columns"]] == [False, False, False, True]
    assert status["done"] == status["total"] == 4 and all(c["ready"] for row in status["cells"] for c in row)
    lines = [json.loads(line) for line in run.manifest.read_text().splitlines()]
    held_out = [line for line in lines if line["held_out"]]
    assert [(p["text"], p["pair"]) for p in status["prompts"]] == [(line["caption"], line["id"]) for line in held_out[:2]]
    for row, line in zip(status["cells"], held_out, strict=False):
        for cell, file in zip(row, (line["input_file"], line["file"]), strict=False):
            with Image.open(file) as source:
                assert np.array_equal(pixels(store.cell("edits", cell["name"])), np.asarray(cover(source.convert("RGB"), 128, 128)))
        edited = [pixels(store.cell("edits", cell["name"])) for cell in row]
        assert len({e.tobytes() for e in edited}) == 4
    assert set(status["closeness"]) == {"40", "80"} and all(0 <= v <= 1 for v in status["closeness"].values())


def test_a_cell_equals_the_same_edit_on_the_generate_page(store, jobs, history, workspace, run):
    status = wait_for_end(lambda: store.status("edits") or store.start("edits"))
    pair = status["prompts"][0]
    line = next(v for v in map(json.loads, run.manifest.read_text().splitlines()) if v["id"] == pair["pair"])
    image = InputShelf(workspace).add(Path(line["input_file"]), "before.webp")
    values = {"prompt": pair["text"], "image": image.id, "num_inference_steps": 3, "seed": status["seed"]}
    done = finish(jobs, jobs.start({**values, "loras": [{"key": "run:edits@80"}]}))
    ours = pixels(history.path(done["pictures"][0]["id"])).astype(int)
    assert np.abs(ours - pixels(store.cell("edits", status["cells"][0][3]["name"]))).max() <= 2  # another batch rounds otherwise


def test_the_sheet_shows_the_pairs_too(store, run):
    wait_for_end(lambda: store.status("edits") or store.start("edits"))
    sheet = Image.open(store.export_png("edits"))
    settings = json.loads(sheet.info["darkroom"])
    assert [c["step"] for c in settings["columns"]] == [40, 80] and settings["image_guidance_scale"] == 1.5
    assert "image" not in settings and sheet.width > 4 * 128


def test_pairs_are_chosen_by_id_or_instruction_and_others_refused(store, run):
    held_out = [v for v in map(json.loads, run.manifest.read_text().splitlines()) if v["held_out"]]
    status = store.start("edits", prompts=[held_out[2]["id"]], steps=[80])
    assert [p["pair"] for p in status["prompts"]] == [held_out[2]["id"]]
    wait_for_end(lambda: store.status("edits"))
    status = store.start("edits", prompts=[held_out[1]["caption"]], steps=[80])
    assert held_out[1]["id"] in [p["pair"] for p in status["prompts"]]
    wait_for_end(lambda: store.status("edits"))
    with pytest.raises(DarkroomError, match="no held-out pair “make it rain”"):
        store.start("edits", prompts=["make it rain"])
    with pytest.raises(DarkroomError, match="a whole model goes from 0"):
        store.start("edits", scale=1.25)


def test_at_scale_0_an_edit_is_drawn_once_by_the_model_that_sees_no_picture(store, run):
    store.start("edits", scale=0)
    status = wait_for_end(lambda: store.status("edits"))
    assert status["state"] == "done", status
    assert all(row[2]["name"] == row[3]["name"] for row in status["cells"])


def test_a_run_of_a_whole_model_compares_with_the_base_as_it_came(workspace, store, generator, jobs, history):
    write_edit_run(workspace, "whole", backend="sd15/text_to_image_full")
    assert store.defaults("whole")["largest_scale"] == 1
    store.start("whole")
    status = wait_for_end(lambda: store.status("whole"))
    assert status["state"] == "done", status
    assert [(c["side"], c["step"]) for c in status["columns"]] == [("", 0), ("", 40), ("", 80)]
    shown = [pixels(store.cell("whole", cell["name"])) for cell in status["cells"][0]]
    assert len({s.tobytes() for s in shown}) == 3
    plain = {"prompt": status["prompts"][0]["text"], "base_model": "pocket-sd15", "num_inference_steps": 3, "seed": status["seed"]}
    done = finish(jobs, jobs.start(plain))
    assert np.abs(pixels(history.path(done["pictures"][0]["id"])).astype(int) - shown[0]).max() <= 2
