"""What the Monitor page is told: events from a byte offset, facts, the log's end, the nearest picture, requests."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image

from backends.contract import files
from studio.web.monitor_routes import LARGE, LOG_LINES
from tests.edit_runs import write_edit_run
from tests.run_folders import RunWriter, finished_run


@pytest.fixture
def writer(context, request):
    """A fresh run of this test's own, living: this very process watches over it."""
    made = RunWriter(context.workspace, request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")[:60].lower())
    made.live()
    return made


def events_at(client, run_id, offset):
    return client.get(f"/api/runs/{run_id}/events?offset={offset}")


def read(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def test_events_come_once_and_then_nothing_until_there_are_new_ones(client, writer):
    writer.begin()
    first = events_at(client, writer.run_id, 0)
    assert first.status_code == 200
    assert first.content == writer.run.events.read_bytes()
    offset = int(first.headers["X-Offset"])
    quiet = events_at(client, writer.run_id, offset)
    assert (quiet.status_code, quiet.content) == (204, b"")
    writer.event("notice", level="info", text="one more")
    more = events_at(client, writer.run_id, offset)
    assert [e["text"] for e in read(more)] == ["one more"]


def test_half_a_line_is_not_sent(client, writer):
    writer.begin()
    size = writer.run.events.stat().st_size
    with writer.run.events.open("a") as file:
        file.write('{"t": "step", "st')
    assert int(events_at(client, writer.run_id, 0).headers["X-Offset"]) == size
    assert events_at(client, writer.run_id, size).status_code == 204
    with writer.run.events.open("a") as file:
        file.write('ep": 1, "loss": 0.5}\n')
    assert [e["step"] for e in read(events_at(client, writer.run_id, size))] == [1]


@pytest.mark.parametrize("offset", [10**9, -5])
def test_an_offset_outside_the_file_begins_again_and_says_so(client, writer, offset):
    writer.begin()
    answer = events_at(client, writer.run_id, offset)
    assert answer.headers["X-Reset"] == "1"
    assert answer.content == writer.run.events.read_bytes()


def test_a_long_run_is_sent_thinned_and_small_and_goes_on_from_its_end(client, writer):
    writer.begin()
    with writer.run.events.open("a") as file:
        for step in range(1, 60_001):
            file.write(
                json.dumps({"t": "step", "time": 1.0, "step": step, "loss": 0.2, "lr": 1e-4, "steps_per_s": 5.0, "memory_mib": 900}) + "\n"
            )
    assert writer.run.events.stat().st_size > 10 * LARGE
    answer = events_at(client, writer.run_id, 0)
    assert len(answer.content) < 500_000
    assert answer.headers["X-Reset"] == "1"
    assert int(answer.headers["X-Thinned"]) == 60_000
    sent = read(answer)
    assert {"eval", "sample", "state"} <= {e["t"] for e in sent}
    assert sent[-1]["step"] == 60_000
    assert sent[-1]["steps_per_s"] == 5.0
    assert events_at(client, writer.run_id, int(answer.headers["X-Offset"])).status_code == 204


def test_a_run_that_has_not_written_yet_has_no_events(client, writer):
    writer.run.events.unlink()
    assert events_at(client, writer.run_id, 0).status_code == 204


def test_the_facts_of_a_finished_run(client, context):
    finished_run(context.workspace, "facts-of-finished")
    facts = client.get("/api/runs/facts-of-finished").json()
    assert (facts["state"], facts["step"], facts["total"], facts["learned"]) == ("finished", 200, 200, True)
    assert [c["step"] for c in facts["checkpoints"]] == [80, 160]
    assert facts["checkpoints"][1]["loss"] < facts["checkpoints"][0]["loss"]
    assert facts["lora_mb"] == 1.2
    assert (facts["trigger_word"], facts["base_model"], facts["sample_every"]) == ("zog", "Pocket", 40)
    assert (facts["edits"], facts["draws"]) == (False, {"pairs": 0, "prompts": 3})


def test_the_facts_count_what_is_drawn_not_what_was_asked_for(client, context):
    write_edit_run(context.workspace, "facts-of-edits", pairs=1)  # its settings ask for two
    facts = client.get("/api/runs/facts-of-edits").json()
    assert (facts["edits"], facts["draws"]) == (True, {"pairs": 1, "prompts": 0})


@pytest.mark.parametrize("hopeless", [True, False])
def test_a_job_that_cannot_begin_is_flagged_whatever_its_words_are(client, writer, hopeless):
    files.write_json(writer.run.process, {**files.read_json(writer.run.process), "launched_by": "slurm", "job_id": "7"})
    files.write_json(writer.run.job, {"launcher": "slurm", "id": "7", "phase": "queued", "words": "Any words.", "hopeless": hopeless})
    assert client.get(f"/api/runs/{writer.run_id}").json()["where"]["hopeless"] is hopeless


def test_other_runs_are_listed_with_a_sample_that_exists(client, context, writer):
    finished_run(context.workspace, "other-one")
    others = {o["id"]: o for o in client.get(f"/api/runs/{writer.run_id}").json()["others"]}
    assert writer.run_id not in others
    answer = client.get(others["other-one"]["sample"] + "?w=96")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"


def test_the_newest_run_of_a_data_set_is_found(client, context):
    RunWriter(context.workspace, "of-fruit", dataset_id="fruit")
    assert client.get("/api/runs/latest?dataset=fruit").json() == {"id": "of-fruit"}
    assert client.get("/api/runs/latest?dataset=nothing").json() == {"id": None}


def test_the_log_comes_as_text_and_only_its_end(client, writer):
    hostile = "<script>alert(1)</script> \x1b[31mred"
    writer.run.log.write_bytes(
        b"".join(b"line %d\n" % n for n in range(50_000)) + f"bar 1 %\rbar 100 %\n{hostile}\n".encode() + b"\xff\xfe end"
    )
    answer = client.get(f"/api/runs/{writer.run_id}/log")
    lines = answer.text.split("\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(lines) == int(answer.headers["X-Lines"]) == LOG_LINES
    assert lines[-3:-1] == ["bar 100 %", hostile]
    assert lines[-1].endswith(" end")


def test_one_line_of_ten_megabytes_is_cut(client, writer):
    writer.run.log.write_bytes(b"x" * 10_000_000)
    assert len(client.get(f"/api/runs/{writer.run_id}/log").content) <= 400_000


def test_no_log_is_an_empty_log(client, writer):
    writer.run.log.unlink()
    assert client.get(f"/api/runs/{writer.run_id}/log").text == ""


def test_stop_and_sample_now_leave_their_requests_for_the_trainer(client, writer):
    writer.begin()
    writer.train(1, 5)
    assert client.post(f"/api/runs/{writer.run_id}/sample", json={}).status_code == 204
    assert writer.run.sample_request.exists()
    assert client.post(f"/api/runs/{writer.run_id}/stop", json={}).status_code == 204
    assert writer.run.stop_request.exists()
    assert client.get(f"/api/runs/{writer.run_id}").json()["state"] == "stopping"


def test_a_finished_run_refuses_in_plain_words(client, context):
    finished_run(context.workspace, "refuses")
    for action in ("sample", "resume"):
        answer = client.post(f"/api/runs/refuses/{action}", json={})
        assert answer.status_code == 400
        assert "finished" in answer.json()["error"]["text"]


def test_the_nearest_training_picture_is_the_one_of_the_same_colours(client, writer, tmp_path):
    rows = []
    for number, colour in enumerate(["#4f9a55", "#d84b3a", "#3b6fd6"]):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 64), colour).save(file)
        rows.append({"id": str(number), "file": str(file), "caption": "", "width": 64, "height": 64, "held_out": False})
    writer.run.manifest.write_text("".join(json.dumps(r) + "\n" for r in rows))
    writer.begin()
    found = client.get(f"/api/runs/{writer.run_id}/nearest?step=0").json()
    assert [found[f"p{p}_s0"]["src"].rsplit("/", 1)[1] for p in range(3)] == ["1.webp", "2.webp", "0.webp"]
    assert client.get(found["p0_s0"]["src"]).headers["content-type"] == "image/webp"
    assert client.get(f"/media/run/{writer.run_id}/picture/3.webp").status_code == 404
    assert client.get(f"/api/runs/{writer.run_id}/nearest?step=77").json() == {}


def test_the_lora_and_a_checkpoint_download_under_names_of_the_run(client, context):
    finished_run(context.workspace, "downloads")
    final = client.get("/api/runs/downloads/lora")
    assert len(final.content) == 1_200_000
    assert 'filename="downloads.safetensors"' in final.headers["content-disposition"]
    assert 'filename="downloads-80.safetensors"' in client.get("/api/runs/downloads/lora?step=80").headers["content-disposition"]
    missing = client.get("/api/runs/downloads/lora?step=81")
    assert missing.status_code in (400, 404)
    assert "81" in missing.json()["error"]["text"]


@pytest.mark.parametrize("run_id", ["none", "..", "%2e%2e", "A B", "x" * 80])
@pytest.mark.parametrize("path", ["", "/events", "/advice", "/log", "/nearest?step=1", "/lora"])
def test_a_run_that_is_not_there_is_told_not_guessed(client, run_id, path):
    answer = client.get(f"/api/runs/{run_id}{path}")
    assert answer.status_code in (400, 404)
    assert os.sep + "workspace" not in answer.text


def test_the_sentence_and_the_advice_are_computed_from_this_run(client, context):
    finished_run(context.workspace, "advised")
    told = client.get("/api/runs/advised/advice").json()
    assert "0.126" in told["sentence"]
    assert all(a["text"] for a in told["list"])
