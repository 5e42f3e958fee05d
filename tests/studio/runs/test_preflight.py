"""Before a run starts, everything that is wrong is said at once, at its field, with the way out."""

from __future__ import annotations

import pytest
from PIL import Image

from studio.datasets.auto_masks import keep_masks
from studio.datasets.captions import set_caption
from studio.datasets.masks import name_masks, write_mask
from studio.datasets.store import DatasetStore
from studio.runs import preflight
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.locks import device_lock, held
from studio.runs.preflight import run_preflight
from studio.runs.presets import find_preset
from tests import tensor_files

BACKEND = "sdxl/text_to_image"
SUBJECT = find_preset("text_to_image/pocket_subject").values_for("zog")


def fields(faults):
    return [f.field for f in faults]


def text_at(faults, field):
    return " ".join(f.text for f in faults if f.field == field)


def test_sample_pictures_and_the_preset_have_no_fault(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert (checked.faults, checked.warnings) == ([], [])
    assert checked.config is not None
    assert checked.forecast is not None
    assert checked.forecast.num_training == 11


def test_faults_of_settings_data_and_machine_come_together(workspace, zog, monkeypatch):
    monkeypatch.setattr(preflight, "is_installed", lambda package: package not in ("wandb", "bitsandbytes"))
    datasets = DatasetStore(workspace)
    picture = datasets.pictures(zog)[0]
    set_caption(datasets, zog, picture.id, "", picture.version)
    values = {**SUBJECT, "pretrained_model_name_or_path": "sdxl", "resolution": 1024, "use_8bit_adam": True, "report_to": "wandb"}
    with held(device_lock(workspace, "cpu"), "another-run"):
        checked = run_preflight(workspace, zog, BACKEND, values)
    found = checked.faults
    assert {"dataset", "use_8bit_adam", "report_to", "pretrained_model_name_or_path", "machine"} == set(fields(found))
    assert f"1 picture has no caption: {picture.name}" in text_at(found, "dataset")
    assert "pip install bitsandbytes" in text_at(found, "use_8bit_adam")
    assert "Choose Pocket" in text_at(found, "pretrained_model_name_or_path")
    assert "“another-run” is training" in text_at(found, "machine")
    assert "12 of 12 pictures are smaller than 1024 px square" in text_at(checked.warnings, "resolution")


def test_each_wrong_setting_is_told_at_its_field(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "rank": "0", "resolution": "100", "learning_rat": 1})
    assert checked.config is None
    assert checked.forecast is None
    assert "rank" in fields(checked.faults) or "Did you mean learning_rate" in text_at(checked.faults, "")


def test_an_unknown_training_is_named(workspace, zog):
    assert "There is no training called" in run_preflight(workspace, zog, "sdxl/nothing", SUBJECT).faults[0].text


@pytest.mark.parametrize("dataset_id", ["nothing", "../etc"])
def test_a_data_set_that_is_not_there_is_a_fault_and_not_a_crash(workspace, dataset_id):
    assert fields(run_preflight(workspace, dataset_id, BACKEND, SUBJECT).faults) == ["dataset"]


def test_an_empty_data_set_is_a_fault(workspace):
    dataset = DatasetStore(workspace).create("empty")
    assert "no pictures" in text_at(run_preflight(workspace, dataset.id, BACKEND, SUBJECT).faults, "dataset")


def test_a_damaged_picture_is_named(workspace, zog):
    datasets = DatasetStore(workspace)
    picture = datasets.pictures(zog)[2]
    datasets.path(zog, picture.id).unlink()
    assert picture.name in text_at(run_preflight(workspace, zog, BACKEND, SUBJECT).faults, "dataset")


def test_a_trigger_word_in_no_caption_is_a_fault_and_in_some_a_warning(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "trigger_word": "glorp"})
    assert "“glorp” stands in no caption" in text_at(checked.faults, "trigger_word")
    datasets = DatasetStore(workspace)
    picture = datasets.pictures(zog)[0]
    set_caption(datasets, zog, picture.id, "a thing on a table", picture.version)
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert checked.faults == []
    assert f"missing from 1 of 12 captions: {picture.name}" in text_at(checked.warnings, "trigger_word")


def test_a_word_inside_another_word_is_not_the_trigger_word(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "trigger_word": "ground"})
    assert "stands in no caption" in text_at(checked.faults, "trigger_word")


def test_no_trigger_word_is_a_warning(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "trigger_word": ""})
    assert checked.faults == []
    assert "no trigger word" in text_at(checked.warnings, "trigger_word")


def test_an_unknown_base_model_and_one_out_of_reach_are_told_apart(workspace, zog, monkeypatch, tmp_path):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "pretrained_model_name_or_path": "pokket"})
    assert "No base model is called “pokket”" in text_at(checked.faults, "pretrained_model_name_or_path")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    values = {**SUBJECT, "pretrained_vae_model_name_or_path": "madebyollin/sdxl-vae-fp16-fix", "cache_dir": str(tmp_path)}
    checked = run_preflight(workspace, zog, BACKEND, values)
    assert "HF_HUB_OFFLINE forbids" in text_at(checked.faults, "pretrained_vae_model_name_or_path")
    (tmp_path / "models--madebyollin--sdxl-vae-fp16-fix" / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "models--madebyollin--sdxl-vae-fp16-fix" / "snapshots" / "abc" / "config.json").touch()
    assert run_preflight(workspace, zog, BACKEND, values).faults == []


def test_files_of_this_machine_need_no_hub(workspace, zog, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(preflight, "probe_hardware", lambda: describe_hardware([Gpu("L40S", 48.0, 47.0)], 16, 64.0))
    base = tensor_files.write_holes(tmp_path / "xl.safetensors", tensor_files.SDXL)
    vae = tensor_files.write_holes(tmp_path / "vae.safetensors", tensor_files.VAE)
    large = {**SUBJECT, "pretrained_model_name_or_path": str(base), "resolution": 1024, "train_batch_size": 1}
    assert run_preflight(workspace, zog, BACKEND, {**large, "pretrained_vae_model_name_or_path": str(vae)}).faults == []
    part = tensor_files.write_holes(tmp_path / "part.safetensors", tensor_files.diffusers_unet(2048, told=2816))
    checked = run_preflight(workspace, zog, BACKEND, {**large, "pretrained_model_name_or_path": f"{part} + owner/model"})
    assert "owner/model is not on this machine" in text_at(checked.faults, "pretrained_model_name_or_path")


def test_a_full_disk_is_noticed_before_the_start(workspace, zog, monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 0.2e9)
    assert "GB of disk" in text_at(run_preflight(workspace, zog, BACKEND, SUBJECT).faults, "checkpointing_steps")


def test_no_room_for_what_is_encoded_is_a_warning_because_it_may_be_there_already(workspace, zog, monkeypatch):
    monkeypatch.setattr(preflight, "probe_hardware", lambda: describe_hardware([Gpu("L40S", 48.0, 47.0)], 16, 64.0))
    monkeypatch.setattr("studio.runs.forecast.count_encoded_bytes", lambda *_, **__: 120e9)
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 50e9)
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert checked.faults == []
    assert "take 120 GB of disk, and 50 GB are free" in text_at(checked.warnings, "cache_latents")


def test_what_this_machine_cannot_do_is_told_before_the_trainer_would(workspace, zog, monkeypatch):
    monkeypatch.setattr(preflight, "probe_hardware", lambda: describe_hardware([], 2, 8.0))
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "mixed_precision": "fp16"})
    assert "fp16, which needs a GPU" in text_at(checked.faults, "mixed_precision")
    monkeypatch.setattr(preflight, "probe_hardware", lambda: describe_hardware([Gpu("L40S", 48.0, 47.0)], 16, 64.0))
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "num_processes": 8})
    assert "this machine has 1. Set it to 1" in text_at(checked.faults, "num_processes")


def test_a_gpu_that_somebody_else_fills_is_a_warning(workspace, zog, monkeypatch):
    monkeypatch.setattr(preflight, "probe_hardware", lambda: describe_hardware([Gpu("L40S", 48.0, 0.3)], 16, 64.0))
    checked = run_preflight(workspace, zog, BACKEND, SUBJECT)
    assert "0.3 GB of the GPU are free now" in text_at(checked.warnings, "train_batch_size")


def test_an_unknown_base_model_is_told_once(workspace, zog):
    checked = run_preflight(workspace, zog, BACKEND, {**SUBJECT, "pretrained_model_name_or_path": "pokket"})
    assert [f.field for f in checked.faults].count("pretrained_model_name_or_path") == 1


TAGS = "zog, red wall, smiling, waving"


def write_all(workspace, dataset, text):
    store = DatasetStore(workspace)
    for number, picture in enumerate(store.pictures(dataset)):
        set_caption(store, dataset, picture.id, text.format(number), picture.version)


@pytest.mark.parametrize(
    ("backend", "caption", "settings", "words"),
    [
        (BACKEND, TAGS + ", {}", {}, ""),
        (BACKEND, "zog on a red wall {}", {}, "no"),  # the trigger word's tag is the only one
        (BACKEND, TAGS, {"keep_tags": 3}, "of 12 captions none has two tags or more behind the first 3: nothing is shuffled"),
        (BACKEND, "zog on a red wall, looking up at somebody, in the evening light", {}, "12 of 12 captions are sentences"),
        ("flux/text_to_image", TAGS, {}, "Flux was taught with whole sentences"),
        ("sdxl/dreambooth", TAGS, {"instance_prompt": "a photo of zog"}, "the prompt of the subject, “a photo of zog”, has"),
    ],
)
def test_shuffling_what_are_no_tags_is_a_warning_with_the_way_out(workspace, zog, backend, caption, settings, words):
    write_all(workspace, zog, caption)
    values = {"trigger_word": "zog", "shuffle_tags": True, "max_train_steps": 10, **settings}
    checked = run_preflight(workspace, zog, backend, values)
    told = text_at(checked.warnings, "shuffle_tags")
    assert (words in told) if words else told == ""
    assert "shuffle_tags" not in fields(checked.faults)
    off = run_preflight(workspace, zog, backend, {**values, "shuffle_tags": False})
    assert "shuffle_tags" not in fields(off.warnings)


def test_more_orders_of_each_caption_need_more_room(workspace, zog):
    values = {**SUBJECT, "pretrained_model_name_or_path": "sdxl", "resolution": 1024}
    few, many, more = (
        run_preflight(workspace, zog, BACKEND, {**values, **settings}).forecast.encoded_gb
        for settings in ({}, {"shuffle_tags": True}, {"shuffle_tags": True, "tag_orders": 64})
    )
    assert many - few == pytest.approx(12 * 7 * 77 * 2048 * 2 / 1e9, abs=1e-3)
    assert more - few == pytest.approx(12 * 63 * 77 * 2048 * 2 / 1e9, abs=2e-3)


def test_masks_at_which_nobody_has_looked_are_told_where_they_would_be_learnt_from(workspace, zog):
    store, inside = DatasetStore(workspace), {**SUBJECT, "masked_loss": True}
    row = store.pictures(zog)[0]
    mask = Image.new("L", (row.width, row.height), 255)
    name_masks(store, zog, {row.id: write_mask(workspace.dataset(zog), row, mask, auto=True)})
    assert f"nobody has looked: {row.name}" in text_at(run_preflight(workspace, zog, BACKEND, inside).warnings, "masked_loss")
    assert "nobody" not in text_at(run_preflight(workspace, zog, BACKEND, SUBJECT).warnings, "masked_loss")
    keep_masks(store, zog, store.pictures(zog))
    assert not text_at(run_preflight(workspace, zog, BACKEND, inside).warnings, "masked_loss")
