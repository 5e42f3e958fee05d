"""A run over a data set in which a person chose who judges: before it starts, its forecast, its manifest, its report."""

from __future__ import annotations

import json

import pytest

from backends.contract.errors import DarkroomError
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.contract.rundir import RunDir
from backends.external.document import build_document, link_pictures
from backends.external.manifest import read_pictures
from backends.external.work import Work
from studio.datasets.checks import check_dataset
from studio.datasets.edit_pictures import exclude_pictures
from studio.datasets.ingest import ingest_folder
from studio.datasets.judges import mark_judges
from studio.datasets.store import DatasetStore
from studio.runs.manifest import read_manifest
from studio.runs.preflight import count_judges, run_preflight
from studio.runs.presets import find_preset
from studio.runs.state import read_run_config
from studio.runs.store import RunStore
from tests.studio.datasets.drawing import draw_photo, encode
from tests.studio.datasets.faults import copy
from tests.studio.runs.test_preflight import BACKEND, SUBJECT, text_at
from tests.studio.runs.test_store import make


def choose(workspace, dataset, count, start=0):
    store = DatasetStore(workspace)
    rows = store.pictures(dataset)[start : start + count]
    mark_judges(store, dataset, [row.id for row in rows], judges=True)
    return {row.content for row in rows}


def draw_twins(workspace, tmp_path, count):
    """So many pictures, each with a near copy."""
    store, folder = DatasetStore(workspace), tmp_path / "in"
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed}.png").write_bytes(encode(draw_photo(seed, 128)))
        (folder / f"copy {seed}.jpg").write_bytes(copy(draw_photo(seed, 128), 0))
    made = store.create("Twins", "pictures").id
    ingest_folder(store, made, folder)
    return made


def held_out_of(workspace, made):
    return {row["id"] for row in read_manifest(RunDir(workspace.run(made.id))) if row["held_out"]}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_exactly_the_chosen_are_held_out_whatever_the_share(workspace, zog, share):
    chosen = choose(workspace, zog, 3, start=4)
    made = make(workspace, zog, held_out_share=share)
    assert held_out_of(workspace, made) == chosen
    report = json.loads(RunDir(workspace.run(made.id)).report.read_text())
    assert (report["split"]["chosen"], report["split"]["held_out"], report["split"]["training"]) == (3, 3, 9)
    assert "3 are held out to judge, chosen by you." in RunDir(workspace.run(made.id)).report_page.read_text()


def test_what_is_excluded_judges_nothing_and_the_share_speaks_again(workspace, zog):
    store = DatasetStore(workspace)
    choose(workspace, zog, 1)
    (first, *_) = store.pictures(zog)
    exclude_pictures(store, zog, [first.id], excluded=True)
    made = make(workspace, zog, held_out_share=0.3)
    assert len(read_manifest(RunDir(workspace.run(made.id)))) == 11
    assert len(held_out_of(workspace, made)) == 3 and first.content not in held_out_of(workspace, made)


def test_steps_that_follow_from_passes_count_those_that_are_left(workspace, zog):
    choose(workspace, zog, 4)
    made = make(workspace, zog, max_train_steps=None, num_train_epochs=5, train_batch_size=2)
    run = RunDir(workspace.run(made.id))
    assert made.max_steps == 5 * 8 // 2 and read_run_config(run).max_train_steps is None


def test_the_forecast_counts_them(workspace, zog):
    choose(workspace, zog, 4)
    forecast = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "held_out_share": 0.1}).forecast
    assert (forecast.num_training, forecast.num_held_out, forecast.chosen) == (8, 4, 4)
    assert run_preflight(workspace, zog, BACKEND, {**SUBJECT, "held_out_share": 0.0}).forecast.num_held_out == 4


def test_the_forecast_knows_near_copies_by_the_last_check_while_that_is_right(workspace, tmp_path):
    store, made = DatasetStore(workspace), draw_twins(workspace, tmp_path, 5)
    mark_judges(store, made, [store.pictures(made)[0].id], judges=True)
    check_dataset(store, made)
    assert count_judges(store, made) == (1, 1)
    forecast = run_preflight(workspace, made, BACKEND, SUBJECT).forecast
    assert (forecast.num_training, forecast.num_held_out, forecast.chosen) == (8, 2, 1)
    mark_judges(store, made, [store.pictures(made)[1].id], judges=True)
    assert count_judges(store, made) == (2, 0)


def test_all_chosen_is_said_before_the_start_with_the_way_out(workspace, zog):
    choose(workspace, zog, 12)
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert "All 12 pictures were chosen to judge" in text_at(checked.faults, "dataset")
    assert "Dataset page, under Judges" in text_at(checked.faults, "dataset")


def test_more_than_half_is_a_warning(workspace, zog):
    choose(workspace, zog, 6)
    assert not text_at(run_preflight(workspace, zog, BACKEND, SUBJECT).warnings, "dataset")
    choose(workspace, zog, 11)
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert checked.faults == []
    assert "11 of 12 pictures judge, chosen by you: 1 is left to learn from" in text_at(checked.warnings, "dataset")


def test_where_near_copies_leave_nothing_to_learn_from_no_run_is_made(workspace, tmp_path):
    store, made = DatasetStore(workspace), draw_twins(workspace, tmp_path, 2)
    mark_judges(store, made, [row.id for row in store.pictures(made) if row.name in ("0.png", "1.png")], judges=True)
    with pytest.raises(DarkroomError, match=r"All 4 pictures would judge \(2 chosen by you and 2 near copies of them\)"):
        make(workspace, made)
    assert RunStore(workspace).list() == [] and not list(workspace.runs.glob("*/manifest.jsonl"))


def test_a_chosen_pair_takes_along_those_that_begin_with_its_picture(workspace, tmp_path):
    store, root, lines = DatasetStore(workspace), tmp_path / "in", []
    for side in ("input_images", "output_images"):
        (root / side).mkdir(parents=True)
    for seed in range(12):
        before, after = f"input_images/{3 if seed == 7 else seed}.png", f"output_images/{seed}.png"
        (root / before).write_bytes(encode(draw_photo(3 if seed == 7 else seed, 96)))
        (root / after).write_bytes(encode(draw_photo(100 + seed, 96)))
        lines.append(json.dumps({"input_image": before, "instruction": f"make it blue {seed}", "output_image": after}))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    made = store.create("Edits", "pairs").id
    ingest_folder(store, made, root)
    rows = {row.text: row for row in store.pictures(made)}
    mark_judges(store, made, [rows["make it blue 3"].id], judges=True)
    preset = find_preset("instruct_pix2pix/pocket_edits")
    values = preset.values_for("")
    checked = run_preflight(workspace, made, preset.backend, values)
    assert checked.faults == [], checked.faults
    run = RunStore(workspace).create(dataset_id=made, preset_key=preset.key, name="edits", backend=preset.backend, config=checked.config)
    judging = {row["caption"] for row in read_manifest(RunDir(workspace.run(run.id))) if row["held_out"]}
    assert judging == {"make it blue 3", "make it blue 7"}


def test_ai_toolkit_is_given_exactly_the_chosen_pictures_to_judge_by_and_never_to_learn_from(workspace, zog):
    store = DatasetStore(workspace)
    chosen = [row for n, row in enumerate(store.pictures(zog)) if n in (2, 7, 8)]
    mark_judges(store, zog, [row.id for row in chosen], judges=True)
    config = FluxAiToolkitConfig(max_train_steps=20, sample_prompts=["zog"], trigger_word="zog")
    made = RunStore(workspace).create(dataset_id=zog, preset_key="", name="by aitk", backend="flux/ai_toolkit", config=config)
    work = Work(RunDir(workspace.run(made.id)))
    pictures = read_pictures(work.run)
    link_pictures(work, pictures)
    judging, learnt = ({p.resolve().name for p in folder.glob("*.png")} for folder in (work.held_out, work.pictures))
    assert judging == {f"{row.id}.png" for row in chosen} and len(learnt) == 9 and not judging & learnt
    asked = build_document(work, config, pictures, seed=1)["config"]["process"][0]["train"]["validation_config"]
    assert len(asked["validation_items"]) == 3
