"""The Train page without its native fields: first values, forecast, every fault at once, and exactly one start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from backends.contract.base_models import BASE_MODELS
from backends.contract.rundir import RunDir
from studio.datasets.judges import mark_judges
from studio.datasets.samples import create_sample_dataset
from studio.runs.control import stop_run
from studio.runs.hardware import Gpu, describe_hardware
from studio.runs.presets import find_preset, load_presets
from studio.web.choices import choose_preset, compute_sample_prompts, presets_for
from studio.web.train_view import (
    Asked,
    describe_base,
    describe_preset,
    describe_run,
    find_first,
    first_name,
    first_values,
    offered_bases,
    offered_tasks,
    read_handed_over,
)
from tests.studio.datasets.many import create_many
from tests.studio.runs.conftest import wait_for_state
from tests.waiting import wait_until

SUBJECT = "text_to_image/pocket_subject"
NO_GPU = describe_hardware([], 2, 16.0)


def with_gpu(memory_gb):
    return describe_hardware([Gpu("RTX", memory_gb, memory_gb)], 8, 64.0)


@pytest.fixture
def dataset(context):
    info = create_sample_dataset(context.datasets, "zog")
    yield info.id
    context.datasets.delete(info.id)


def test_only_tasks_with_a_preset_are_offered():
    assert [key for _, key in offered_tasks()] == ["subject", "style", "edit"]


@pytest.mark.parametrize(
    ("machine", "starts_with"), [(NO_GPU, "pocket_"), (with_gpu(8), "pocket_"), (with_gpu(12), "sdxl_"), (with_gpu(24), "sdxl_")]
)
def test_the_first_preset_suits_the_machine(machine, starts_with):
    preset = choose_preset("subject", None, machine)
    assert preset.key.split("/")[1].startswith(starts_with)
    assert preset.gpu_memory_gb <= machine.largest_gpu_gb + 0.5


@pytest.mark.parametrize("task", ["subject", "style", "edit"])
def test_every_base_model_of_a_task_has_its_presets(task):
    for _, base in offered_bases(task):
        assert presets_for(task, base)
        assert presets_for(task, BASE_MODELS[base].source)


def test_a_base_model_of_ones_own_gets_the_presets_of_large_models():
    assert all(p.base_model != "pocket-sdxl" for p in presets_for("subject", "somebody/their-model"))


def test_a_preset_says_its_figures_and_where_they_were_taken():
    name, sentence, figures, where = describe_preset(find_preset(SUBJECT)).split("\n")
    assert (name, figures) == ("Subject", "no GPU   2 min")
    assert sentence
    assert where == "on 2 CPU cores"


def test_a_base_model_says_size_place_and_licence():
    assert describe_base("pocket-sdxl")["line"] == "20 MB, came with the studio. MIT and Apache-2.0 licence."
    assert "downloaded when the run starts" in describe_base("sdxl")["line"] or "on this machine" in describe_base("sdxl")["line"]


def test_the_first_values_come_from_the_preset_and_the_data_set(context, dataset):
    values = first_values(context, dataset, find_preset(SUBJECT))
    assert values["trigger_word"] == "zog"
    assert values["learning_rate"] == 8e-4
    assert values["adam_beta1"] == 0.9
    assert sum("zog" in p for p in values["sample_prompts"]) == len(values["sample_prompts"]) - 1


def test_a_preset_that_there_is_not_is_told_and_another_stands_in(context, dataset):
    preset, told = find_first(context, dataset, "text_to_image/pocket_subjekt")
    assert preset.key == SUBJECT
    assert "Did you mean text_to_image/pocket_subject" in told


def test_an_address_brings_along_how_captions_are_read_and_nothing_else():
    query = {"caption_dropout": "0.1", "shuffle_tags": "true", "keep_tags": "2", "seed": "7", "learning_rate": "1", "preset": "x"}
    brought = read_handed_over(find_preset(SUBJECT), query)
    assert brought == {"caption_dropout": "0.1", "shuffle_tags": True, "keep_tags": "2", "seed": "7"}
    edit = next(p for p in load_presets() if p.task == "edit")
    assert read_handed_over(edit, query) == {"seed": "7"}  # instructions are not shuffled


@pytest.mark.parametrize(
    ("captions", "word", "suggested", "prompts"),
    [
        (["zog on red", "zog on blue"], "zog", ["zog at sea", "a cat"], ["zog at sea", "zog on red", "zog on blue", "a cat"]),
        ([], "zog", [], ["zog on a purple background", "a cat on a blue background"]),
        ([], "", [], ["a cat on a blue background"]),
        (["a  red   wall"], "", ["a dog"], ["a red wall", "a dog"]),
    ],
)
def test_sample_prompts_remember_combine_and_leave_out(captions, word, suggested, prompts):
    assert compute_sample_prompts(captions, word, suggested) == prompts


def test_names_count_up_past_those_that_are_taken(client, context, dataset):
    assert first_name(context, dataset) == "zog-the-mascot-01"


def test_the_forecast_answers_with_figures_faults_and_the_command(client, dataset):
    answer = client.post("/api/train/forecast", json={"dataset": dataset, "preset": SUBJECT}).json()
    assert answer["faults"] == []
    figures = dict((row[0], row[1]) for row in answer["rows"])
    assert (figures["Learns from"], figures["Steps"]) == ("11 pictures", "300")
    assert answer["command"].startswith("accelerate launch ")
    assert "backends.train --config" in answer["command"]


def test_a_run_that_does_not_fit_turns_red_with_the_reason(client, dataset):
    wanted = {"dataset": dataset, "preset": SUBJECT, "values": {"train_batch_size": 256, "resolution": 4096}}
    answer = client.post("/api/train/forecast", json=wanted).json()
    assert answer["memory"]["over"] is True
    assert "GB of memory" in answer["problem"]


def test_every_fault_comes_at_once_and_nothing_is_made(client, context, dataset):
    values = {"learning_rate": "fast", "max_train_steps": 0, "trigger_word": "two words"}
    wanted = {"dataset": dataset, "preset": SUBJECT, "name": "x" * 81, "values": values}
    answer = client.post("/api/train/start", json=wanted)
    assert answer.status_code == 400
    faults = {f["field"]: f["text"] for f in answer.json()["error"]["faults"]}
    assert {"learning_rate", "max_train_steps", "trigger_word", "name"} <= set(faults)
    assert "from 1 to 1,000,000" in faults["max_train_steps"]
    assert context.runs.list() == []


def test_an_unknown_setting_names_the_nearest(client, dataset):
    answer = client.post("/api/train/start", json={"dataset": dataset, "preset": SUBJECT, "values": {"lerning_rate": 1}})
    assert "Did you mean learning_rate?" in answer.json()["error"]["text"]


def test_a_data_set_that_there_is_not_is_a_fault_of_its_own(client):
    answer = client.post("/api/train/start", json={"dataset": "none", "preset": SUBJECT, "name": "x"})
    assert "dataset" in {f["field"] for f in answer.json()["error"]["faults"]}


@pytest.mark.slow
def test_a_start_that_is_sent_twice_starts_once(client, context, dataset):
    wanted = {"dataset": dataset, "preset": SUBJECT, "name": "once", "values": {"max_train_steps": 2000}, "ticket": "t1"}
    first = client.post("/api/train/start", json=wanted).json()
    second = client.post("/api/train/start", json=wanted).json()
    try:
        assert first == second == {"run": "once"}
        assert [r.id for r in context.runs.list()] == ["once"]
        again = client.post("/api/train/start", json={**wanted, "ticket": "t2"})
        assert "machine" in {f["field"] for f in again.json()["error"]["faults"]}
        assert [r.id for r in context.runs.list()] == ["once"]
    finally:
        stop_run(context.workspace, "once")
        wait_for_state(RunDir(context.workspace.run("once")), "stopped", "finished", "failed", "crashed", limit_s=120)


def ask(context, dataset_id, preset_key, **launch):
    preset = find_preset(preset_key)
    return describe_run(context, Asked(dataset_id, preset_key, "zog-01", first_values(context, dataset_id, preset), launch))


def test_what_does_not_fit_here_is_forecast_for_the_cluster_that_it_goes_to(context, dataset):
    flux = "text_to_image/flux_subject_24gb"
    assert "needs a GPU" in ask(context, dataset, flux)["problem"]
    there = ask(context, dataset, flux, launcher="slurm", gpus_per_machine="1")
    assert there["problem"] == "" and there["memory"]["total"] == 80
    assert there["command"] == "" and ask(context, dataset, SUBJECT)["command"]  # that of this machine would mislead there


def test_edits_ask_for_prompts_only_with_a_picture_of_ones_own(context, dataset):
    assert "sample_prompts" in ask(context, dataset, SUBJECT)["fields"]
    edits = "instruct_pix2pix/pocket_edits"
    assert "sample_prompts" not in ask(context, dataset, edits)["fields"]
    values = {**first_values(context, dataset, find_preset(edits)), "val_image": "/pictures/house.png"}
    assert "sample_prompts" in describe_run(context, Asked(dataset, edits, "zog-01", values))["fields"]


def test_what_only_shuffled_tags_have_is_shown_with_them_or_where_it_is_wrong(context, dataset):
    def shown(**values):
        found = describe_run(context, Asked(dataset, SUBJECT, "zog-01", {**find_preset(SUBJECT).values, **values}))["fields"]
        return [name for name in ("shuffle_tags", "keep_tags", "tag_orders") if name in found]

    assert shown() == shown(shuffle_tags=False) == ["shuffle_tags"]
    assert shown(shuffle_tags=True) == ["shuffle_tags", "keep_tags", "tag_orders"]
    assert shown(keep_tags="-1") == ["shuffle_tags", "keep_tags"]


def test_the_start_of_a_large_data_set_is_told_about_and_can_be_stopped(client, context):
    made = create_many(context.datasets, 20_000, "Large start")
    with context.datasets.index(made).change() as rows:
        for row in list(rows.rows()):
            if not row.text:
                rows.say(row, "zog without a number", "person")
    wanted = {"dataset": made, "preset": "text_to_image/pocket_subject", "name": "large", "ticket": "large-1"}
    before = sorted(path.name for path in context.workspace.runs.iterdir())
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.post, "/api/train/start", json=wanted)
        job = wait_until(lambda: next(iter(client.get("/api/jobs", params={"dataset": made}).json()), None), pause_s=0.02)
        assert (job["kind"], job["title"], job["state"]) == ("start", "Start large", "running")
        told = wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["what"], pause_s=0.02)
        assert "20,000 pictures" in told
        client.post(f"/api/jobs/{job['id']}/stop")
        refused = answer.result()
    assert refused.status_code == 400 and refused.json()["error"]["text"] == "It was stopped. Nothing was started."
    assert sorted(path.name for path in context.workspace.runs.iterdir()) == before
    assert client.get("/api/jobs", params={"dataset": made}).json() == []


def test_what_stands_in_the_way_of_a_start_is_told_once_and_leaves_no_work_behind(client, context):
    made = create_many(context.datasets, 40, "Silent ones")
    wanted = {"dataset": made, "preset": "text_to_image/pocket_subject", "values": {"learning_rate": 1e-4}}
    told = client.post("/api/train/start", json={**wanted, "name": "x" * 90})
    assert told.status_code in (400, 422)
    assert "4 pictures have no caption" in told.text and "90 characters" in told.text
    assert client.get("/api/jobs", params={"dataset": made}).json() == []


def test_the_form_says_who_chose_the_judges_and_that_the_share_says_nothing(context, dataset):
    assert ["Judged by", "1 held out", ""] in ask(context, dataset, SUBJECT)["rows"]
    mark_judges(context.datasets, dataset, [row.id for row in context.datasets.pictures(dataset)[:3]], judges=True)
    told = ask(context, dataset, SUBJECT)
    assert ["Learns from", "9 pictures", ""] in told["rows"] and ["Judged by", "3 chosen by you", ""] in told["rows"]
    assert told["why"]["held_out_share"].startswith("3 pictures judge, chosen by you on the Dataset page, with near copies of them.")
    assert told["why"]["held_out_share"].endswith("This share says nothing then.")
