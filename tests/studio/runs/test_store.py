"""A run is made whole or not at all, frozen, and every later answer comes from its folder."""

from __future__ import annotations

import os
import threading
import time

import pytest

from backends.contract import files
from backends.contract.config import parse_config, read_config_document
from backends.contract.errors import DarkroomError
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import COMPLETE, RunDir
from studio.datasets.captions import set_caption
from studio.datasets.split import choose_held_out
from studio.datasets.store import DatasetStore
from studio.runs.manifest import read_manifest
from studio.runs.presets import find_preset
from studio.runs.processes import identify
from studio.runs.progress import Progress
from studio.runs.state import RunState, read_run_config
from studio.runs.store import RunStore, compute_eta, describe_state, format_duration

KEY = "text_to_image/pocket_subject"


def make(workspace, dataset_id, name="Zog one", **changes):
    config = TextToImageConfig(**{**find_preset(KEY).values_for("zog"), **changes})
    return RunStore(workspace).create(dataset_id=dataset_id, preset_key=KEY, name=name, backend="sdxl/text_to_image", config=config)


def test_a_new_run_holds_complete_settings_versions_and_the_hash_of_its_data(workspace, zog):
    info = make(workspace, zog)
    run = RunDir(workspace.run(info.id))
    document = read_config_document(run.config)
    assert document["backend"] == "sdxl/text_to_image"
    assert {"python", "torch", "diffusers", "dataset_sha256"} <= document["versions"].keys()
    assert set(document["config"]) == set(TextToImageConfig.model_fields)
    again = parse_config(TextToImageConfig, document["config"])
    assert again.seed is not None, "a run without a seed could not be run again"
    assert again.output_dir == str(run.root)
    assert read_run_config(run) == again
    assert (info.id, info.name, info.max_steps, info.dataset_id) == ("zog-one", "Zog one", 300, zog)
    assert info.prompts[0] == "zog on a red background"


def test_the_manifest_names_every_picture_with_words_and_size_and_holds_one_out(workspace, zog):
    rows = read_manifest(RunDir(workspace.run(make(workspace, zog).id)))
    assert len(rows) == 12
    assert [r["held_out"] for r in rows].count(True) == 1
    pictures = {p.id: p for p in DatasetStore(workspace).pictures(zog)}
    for row in rows:
        picture = pictures[row["id"]]
        assert (row["caption"], row["width"], row["height"]) == (picture.text, picture.width, picture.height)
        assert row["file"] == str(workspace.dataset(zog) / picture.file)


def test_the_report_is_frozen_with_the_run_for_its_own_base_and_outlives_the_pictures(workspace, zog):
    run, datasets = RunDir(workspace.run(make(workspace, zog, held_out_share=0.25).id)), DatasetStore(workspace)
    told, page = files.read_json(run.report), run.report_page.read_text("utf-8")
    assert (told["split"]["training"], told["split"]["held_out"]) == (9, 3) and told["base_model"] == "pocket-sdxl"
    assert not (workspace.dataset(zog) / "dataset_report.json").exists(), "a run is no check of the person's"
    datasets.remove(zog, [p.id for p in datasets.pictures(zog)])
    assert run.report_page.read_text("utf-8") == page and page.count("data:image/webp") >= 12 and "zog-one" in page


def test_the_same_pictures_are_held_out_whatever_their_order_and_the_seed(workspace, zog):
    def held_out(run):
        return {r["id"] for r in read_manifest(RunDir(workspace.run(run.id))) if r["held_out"]}

    assert held_out(make(workspace, zog, seed=1)) == held_out(make(workspace, zog, seed=2))
    ids = [f"{n:02x}" for n in range(20)]
    assert choose_held_out(ids, 0.2) == choose_held_out(ids[::-1], 0.2)
    assert len(choose_held_out(ids, 0.2)) == 4


def test_later_changes_of_the_data_set_do_not_reach_a_run(workspace, zog):
    run = RunDir(workspace.run(make(workspace, zog).id))
    before = run.manifest.read_bytes()
    datasets = DatasetStore(workspace)
    picture = datasets.pictures(zog)[0]
    set_caption(datasets, zog, picture.id, "other words", picture.version)
    assert run.manifest.read_bytes() == before
    assert make(workspace, zog, "later").id == "later"
    new = read_config_document(RunDir(workspace.run("later")).config)["versions"]["dataset_sha256"]
    assert new != read_config_document(run.config)["versions"]["dataset_sha256"]


def test_a_picture_that_was_changed_behind_the_studios_back_stops_the_run_before_it_is_made(workspace, zog):
    datasets = DatasetStore(workspace)
    picture = datasets.pictures(zog)[3]
    datasets.path(zog, picture.id).write_bytes(b"no picture any more")
    with pytest.raises(DarkroomError, match=f"1 of 12 pictures is gone or damaged: {picture.name}"):
        make(workspace, zog)
    assert list(workspace.runs.iterdir()) == []


def test_an_empty_data_set_makes_no_run(workspace):
    dataset = DatasetStore(workspace).create("empty")
    with pytest.raises(DarkroomError, match="no pictures"):
        make(workspace, dataset.id)
    assert list(workspace.runs.iterdir()) == []


def test_runs_of_the_same_name_made_at_once_get_folders_of_their_own(workspace, zog):
    made = []
    threads = [threading.Thread(target=lambda: made.append(make(workspace, zog).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_keep_takes_only_a_complete_checkpoint_and_can_be_taken_back(workspace, zog):
    store, info = RunStore(workspace), make(workspace, zog)
    run = RunDir(workspace.run(info.id))
    run.checkpoint(75).mkdir(parents=True)
    with pytest.raises(DarkroomError, match="no checkpoint at step 75. There is: none yet"):
        store.keep(info.id, 75)
    (run.checkpoint(75) / COMPLETE).touch()
    store.keep(info.id, 75)
    assert store.get(info.id).kept_step == 75
    store.keep(info.id, None)
    assert store.get(info.id).kept_step is None


def test_a_run_in_use_is_not_deleted_and_one_that_ended_goes_whole(workspace, zog):
    store, info = RunStore(workspace), make(workspace, zog)
    run = RunDir(workspace.run(info.id))
    own = identify(os.getpid())
    assert own
    files.write_json(run.process, {"supervisor": own.as_json(), "attempt": 1})
    with pytest.raises(DarkroomError, match="cannot be deleted. Stop it first"):
        store.delete(info.id)
    files.write_json(run.process, {"ended": 1.0, "state": "stopped", "attempt": 1})
    store.delete(info.id)
    assert store.list() == []
    assert list(workspace.temporary.iterdir()) == []


def test_a_name_changes_without_the_folder(workspace, zog):
    store, info = RunStore(workspace), make(workspace, zog)
    assert store.rename(info.id, "  A better  name ").name == "A better name"
    assert store.get(info.id).id == "zog-one"
    with pytest.raises(DarkroomError, match="must have 1 to 80"):
        store.rename(info.id, "x" * 81)


def test_runs_are_listed_newest_first_and_a_broken_one_hides_no_other(workspace, zog):
    first, second = make(workspace, zog, "first"), make(workspace, zog, "second")
    assert [r.id for r in RunStore(workspace).list()] == [second.id, first.id]
    RunDir(workspace.run("second")).info.write_text("{")
    assert [r.id for r in RunStore(workspace).list()] == [first.id]
    with pytest.raises(DarkroomError, match="run.json is missing or broken"):
        RunStore(workspace).get("second")
    with pytest.raises(DarkroomError, match="There is no run called"):
        RunStore(workspace).get("third")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (400, "7 min"), (7500, "2 h 5 min"), (7200, "2 h"), (163_440, "45 h")]
)
def test_lengths_of_time_as_a_person_says_them(seconds, words):
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("state", "progress", "sentence"),
    [
        ("starting", {}, "Starting the trainer."),
        ("running", {"phase": "caching", "phase_done": 3, "phase_total": 12}, "Encoding pictures and captions, 3 of 12."),
        ("running", {"phase": "training", "step": 60}, "Step 60 of 300, about 2 min left."),
        ("stopping", {"step": 60}, "Stopping at step 60 of 300; it saves first."),
        ("finished", {"step": 300}, "Your LoRA is ready: 300 steps in 60 s."),
        ("stopped", {"step": 60}, "Stopped at step 60 of 300."),
        ("crashed", {"step": 60}, "Crashed at step 60 of 300."),
    ],
)
def test_every_state_has_its_sentence(state, progress, sentence):
    now = Progress(**{"last_time": time.time(), "steps_per_s": 2.0, **progress})
    how = RunState(state, now.step, "", 60.0, 1)
    assert describe_state(how, now, 300, compute_eta(how, now, 300)) == sentence


def test_a_long_silence_is_told():
    silent = Progress(last_time=time.time() - 600, steps_per_s=2.0, phase="training", step=60)
    told = describe_state(RunState("running", 60), silent, 300, 100.0)
    assert told.startswith("No sign of life for 10 min at step 60 of 300.")
