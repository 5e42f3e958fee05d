"""What the Generate page starts and finds again: drawings, their history, and the LoRAs to mix."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.workers.draw_jobs import DrawJobs, Strip
from studio.workers.history import History
from studio.workers.loras import LoraShelf
from tests.adapters import write_adapter
from tests.waiting import wait_for_end, wait_until

pytestmark = pytest.mark.slow
QUICK = {"prompt": "a cat on a blue background", "num_inference_steps": 3}


@pytest.fixture(scope="module")
def jobs(workspace, generator):
    return DrawJobs(workspace, generator)


@pytest.fixture(scope="module")
def history(workspace):
    return History(workspace)


@pytest.fixture(scope="module")
def run(make_run):
    return make_run("zog-03").run


def finish(jobs, job):
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "done", status
    return status


def test_a_picture_is_kept_with_all_that_it_takes_to_draw_it_again(jobs, history, run):
    first = finish(jobs, jobs.start({**QUICK, "seed": 5, "loras": [{"key": "run:zog-03@80", "weight": 0.8}]}))
    output = history.get(first["pictures"][0]["id"])
    assert output.settings["loras"] == [{"key": "run:zog-03@80", "weight": 0.8}]
    again = finish(jobs, jobs.start(output.settings))
    assert np.array_equal(*(np.asarray(Image.open(history.path(s["pictures"][0]["id"]))) for s in (first, again)))
    assert str(run.root) not in json.dumps(output.settings)


def test_a_strip_draws_each_weight_once_and_labels_it(jobs, history, run):
    status = finish(jobs, jobs.start({**QUICK, "loras": [{"key": "run:zog-03", "weight": 1}]}, strip=Strip("weight", (0, 0.5, 1.5))))
    assert [p["label"] for p in status["pictures"]] == ["0.00", "0.50", "1.50"] and all(p["ready"] for p in status["pictures"])
    weights = [history.get(p["id"]).settings["loras"][0]["weight"] for p in status["pictures"]]
    assert weights == [0, 0.5, 1.5]
    assert status["total"] == 9


def test_several_pictures_take_seeds_that_follow_each_other(jobs, history):
    status = finish(jobs, jobs.start({**QUICK, "seed": 2**32 - 1}, num_pictures=2))
    assert [history.get(p["id"]).settings["seed"] for p in status["pictures"]] == [2**32 - 1, 0]


def test_the_history_is_newest_first_and_forgets_what_is_deleted(jobs, history):
    ids = [finish(jobs, jobs.start({**QUICK, "seed": s}))["pictures"][0]["id"] for s in range(2)]
    assert [o.id for o in history.list(limit=2)] == ids[::-1]
    history.star(ids[0])
    assert history.get(ids[0]).starred
    assert Image.open(history.thumbnail(ids[0], 64)).size == (64, 64)
    history.delete(ids[0])
    assert ids[0] not in [o.id for o in history.list()] and not history.path(ids[0]).exists()
    with pytest.raises(DarkroomError, match="may have been deleted"):
        history.get(ids[0])


def test_stopping_keeps_the_pictures_that_are_ready_and_gives_the_other_ids_back(jobs, history, workspace):
    job = jobs.start({**QUICK, "num_inference_steps": 60}, num_pictures=4)
    wait_until(lambda: jobs.status(job)["pictures"][0]["ready"])
    jobs.cancel(job)
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "cancelled"
    kept = [p["id"] for p in status["pictures"] if p["ready"]]
    assert 1 <= len(kept) < 4 and {o.id for o in history.list()} >= set(kept)
    assert not list(workspace.outputs.glob(".*"))


def test_a_drawing_is_found_again_after_the_studio_was_started_anew(jobs, workspace, generator):
    job = jobs.start(QUICK)
    done = finish(jobs, job)
    assert DrawJobs(workspace, generator).status(job)["pictures"] == done["pictures"]
    files.write_json(workspace.cache / "draw" / "draw-lost.json", {**done, "state": "running", "owner": None})
    assert DrawJobs(workspace, generator).status("draw-lost")["state"] == "interrupted"


def test_a_lora_of_another_model_is_refused_by_its_header_or_else_by_the_worker(jobs, workspace):
    import torch
    from safetensors.torch import save_file

    shelf, keys = LoraShelf(workspace), []
    for name, part in (("Flux style", "transformer.x"), ("Silent", "unet.nowhere.x")):
        foreign = workspace.temporary / f"{name}.safetensors"
        save_file({f"{part}.lora_A.weight": torch.ones(2, 2), f"{part}.lora_B.weight": torch.ones(2, 2)}, foreign)
        keys.append(shelf.add(foreign, foreign.name).key)
    with pytest.raises(DarkroomError, match="was made for Flux; it does not fit Pocket") as refused:
        jobs.start({**QUICK, "loras": [{"key": keys[0], "weight": 1}]})
    assert refused.value.field == "loras"
    job = jobs.start({**QUICK, "loras": [{"key": keys[1], "weight": 1}]})
    status = wait_for_end(lambda: jobs.status(job))
    assert status["state"] == "failed" and "does not fit Pocket" in status["reason"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"width": 100}, "Nearest: 96 or 104"),
        ({"width": 4096, "height": 4096}, "too large"),
        ({"num_inference_steps": 151}, "1 to 150"),
        ({"guidance_scale": 31}, "0 to 30"),
        ({"guidance_scale": "nan"}, "Follow the words"),
        ({"sampler": "magic"}, "one of default"),
        ({"prompt": "x" * 2001}, "Prompt"),
        ({"loras": [{"key": "run:nobody"}]}, "no run called"),
        ({"loras": [{"key": "../../etc/passwd"}]}, "not the key of a LoRA"),
        ({"loras": [{"key": "run:../outside"}]}, "not the key of a LoRA"),
        ({"loras": [{"key": "file:none"}]}, "not there any more"),
        ({"loras": [{"key": "run:zog-03", "weight": 2.5}]}, "LoRA"),
        ({"path": "/etc/passwd"}, "no setting “path”"),
    ],
)
def test_settings_that_cannot_be_drawn_are_refused_before_anything_starts(jobs, run, values, reason):
    with pytest.raises(DarkroomError, match=reason):
        jobs.start({**QUICK, **values})


def test_the_shelf_proposes_the_kept_step_first_and_takes_in_files(run, workspace):
    shelf = LoraShelf(workspace)
    assert [i.key for i in shelf.list() if "zog-03" in i.key] == ["run:zog-03"]
    assert {i.key for i in shelf.list(checkpoints=True)} >= {"run:zog-03", "run:zog-03@80", "run:zog-03@160"}
    files.write_json(run.kept, {"step": 80})
    own = [i for i in shelf.list() if "zog-03" in i.key]
    assert own[0].key == "run:zog-03@80" and own[0].kept and own[0].trigger_word == "zog"
    source = write_adapter(workspace.temporary / "x.safetensors", 3)
    keys = [shelf.add(source, "Soft fruit!.safetensors").key for _ in range(2)]
    assert keys == ["file:soft-fruit", "file:soft-fruit-2"] and all(shelf.path(k).is_file() for k in keys)
    assert shelf.get(keys[0]).trigger_word == "zog"
    (workspace.temporary / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(DarkroomError, match="cannot be used as a LoRA"):
        shelf.add(workspace.temporary / "bad.safetensors", "bad")


def test_ids_of_one_second_follow_each_other_and_leave_nothing_behind(workspace, monkeypatch):
    history = History(workspace)
    monkeypatch.setattr("studio.workers.history.time.strftime", lambda *_: "20200101-000000")
    ids = []
    for _ in range(3):
        ids.append(history.new_id())
        files.write_json(workspace.outputs / f"{ids[-1]}.json", {})
        history.release_id(ids[-1])
    assert ids == ["20200101-000000-001", "20200101-000000-002", "20200101-000000-003"]
    assert not list(workspace.outputs.glob(".2020*"))
    for output_id in ids:
        (workspace.outputs / f"{output_id}.json").unlink()
