"""Drawing by the routes with the real worker: one picture, a strip, Stop, faults at their field, history, LoRAs."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.adapters import write_adapter
from tests.run_folders import finished_run
from tests.studio.web.drawing import draw
from tests.waiting import wait_for_end

pytestmark = pytest.mark.slow
VALUES = {"prompt": "a cat on a blue background", "num_inference_steps": 2, "seed": 7}


@pytest.fixture(scope="module")
def run(client):
    """A finished run with real LoRAs, its step 80 kept."""
    context = client.app.state.context
    writer = finished_run(context.workspace, "mix")
    for path in (writer.run.weights(80), writer.run.weights(160), writer.run.result):
        write_adapter(path, len(str(path)))
    context.runs.keep("mix", 80)
    return writer


def pixels(client, job, number=0):
    return Image.open(io.BytesIO(client.get(f"/media/output/{job['pictures'][number]['id']}.png").content)).convert("RGB").tobytes()


def test_a_picture_is_drawn_and_kept_with_all_its_settings(client, run):
    job = draw(client, {**VALUES, "loras": [{"key": "run:mix@80", "weight": 0.8}]})
    assert (job["state"], job["pictures"][0]["ready"]) == ("done", True)
    newest = client.get("/api/generate").json()["history"]["items"][0]
    assert newest["id"] == job["pictures"][0]["id"]
    assert newest["settings"]["loras"] == [{"key": "run:mix@80", "weight": 0.8}]
    assert (newest["settings"]["seed"], newest["settings"]["width"], newest["settings"]["guidance_scale"]) == (7, 128, 3.0)
    large = client.get(f"/media/output/{newest['id']}.png?w=768")
    assert Image.open(io.BytesIO(large.content)).size == (768, 768)


def test_scale_0_equals_the_base(client, run):
    base = draw(client, VALUES)
    nothing = draw(client, {**VALUES, "loras": [{"key": "run:mix@80", "weight": 0}]})
    full = draw(client, {**VALUES, "loras": [{"key": "run:mix@80", "weight": 1}]})
    assert pixels(client, nothing) == pixels(client, base)
    assert pixels(client, full) != pixels(client, base)


def test_a_strip_draws_seven_scales_and_is_found_again(client, run):
    job = draw(client, {**VALUES, "loras": [{"key": "run:mix", "weight": 1}]}, strip=True)
    assert [p["label"] for p in job["pictures"]] == ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25", "1.50"]
    assert len({pixels(client, job, n) for n in range(7)}) == 7
    draw(client, VALUES)
    again = client.get("/api/generate").json()
    assert again["strips"]["weight"]["id"] == job["id"]
    assert again["strips"]["weight"]["strip"]["key"] == "run:mix"
    assert again["job"]["id"] != job["id"]


def test_a_drawing_under_way_is_told_to_a_page_that_comes_later_and_stop_ends_it(client, run):
    started = client.post("/api/generate", json={"values": {**VALUES, "num_inference_steps": 150}}).json()
    found = client.get("/api/generate").json()["job"]
    assert (found["id"], found["state"]) == (started["id"], "running")
    assert client.post(f"/api/generate/jobs/{started['id']}/stop", json={}).status_code == 204
    assert wait_for_end(lambda: client.get(f"/api/generate/jobs/{started['id']}").json())["state"] == "cancelled"


@pytest.mark.parametrize(
    "values, field, words",
    [
        ({"num_inference_steps": 0}, "num_inference_steps", "1 to 150"),
        ({"num_inference_steps": "many"}, "num_inference_steps", "whole number"),
        ({"guidance_scale": 99}, "guidance_scale", "0 to 30"),
        ({"seed": -1}, "seed", "0"),
        ({"width": 130}, "width", "multiple of 8"),
        ({"loras": [{"key": "run:mix@80", "weight": 3}]}, "loras", "2"),
        ({"loras": [{"key": "../../etc/passwd", "weight": 1}]}, "loras", "key"),
        ({"loras": [{"key": "run:mix@81", "weight": 1}]}, "loras", "not there"),
    ],
)
def test_a_fault_is_told_at_its_field_before_anything_starts(client, run, values, field, words):
    answer = client.post("/api/generate", json={"values": {**VALUES, **values}})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["field"] == field
    assert words in error["text"]


def test_every_fault_is_told_at_once(client):
    answer = client.post("/api/generate", json={"values": {**VALUES, "num_inference_steps": 0, "guidance_scale": 99}})
    assert {f["field"] for f in answer.json()["error"]["faults"]} == {"num_inference_steps", "guidance_scale"}


def test_a_strip_without_a_lora_says_what_is_missing(client):
    answer = client.post("/api/generate", json={"values": VALUES, "strip": True})
    assert answer.json()["error"]["field"] == "loras"


def test_the_kept_checkpoint_of_a_run_is_proposed_first(client, run):
    mine = [lora for lora in client.get("/api/loras").json() if lora["run"] == "mix"]
    assert (mine[0]["key"], mine[0]["kept"], mine[0]["trigger_word"], mine[0]["base_name"]) == ("run:mix@80", True, "zog", "Pocket")
    assert {lora["key"] for lora in mine} == {"run:mix@80", "run:mix", "run:mix@160"}


def test_a_deleted_picture_is_gone_with_its_sizes(client, run):
    job = draw(client, VALUES)
    output = job["pictures"][0]["id"]
    assert client.get(f"/media/output/{output}.png?w=384").status_code == 200
    assert client.request("DELETE", f"/api/generate/history/{output}").status_code == 204
    assert client.get(f"/media/output/{output}.png").status_code == 404
    assert client.get(f"/media/output/{output}.png?w=384").status_code == 404
    assert all(o["id"] != output for o in client.get("/api/generate/history").json()["items"])


def test_a_safetensors_file_can_be_added_and_drawn_with(client, run, tmp_path):
    path = write_adapter(tmp_path / "Soft Fruit.safetensors", 5)
    answer = client.post("/api/loras", files={"file": ("Soft Fruit.safetensors", path.read_bytes(), "application/octet-stream")})
    assert answer.status_code == 200, answer.text
    key = answer.json()["key"]
    assert key == "file:soft-fruit"
    assert draw(client, {**VALUES, "loras": [{"key": key, "weight": 1}]})["state"] == "done"


@pytest.mark.parametrize(
    "name, content",
    [("model.pt", b"PK\x03\x04" * 10), ("evil.safetensors", b"\xff" * 100), ("empty.safetensors", b""), ("x.ckpt", b"\x80\x04.")],
)
def test_other_files_are_refused_and_leave_nothing(client, context, name, content):
    before = sorted(p.name for p in context.workspace.root.rglob("*"))
    answer = client.post("/api/loras", files={"file": (name, content, "application/octet-stream")})
    assert answer.status_code == 400
    assert answer.json()["error"]["text"]
    assert [n for n in sorted(p.name for p in context.workspace.root.rglob("*")) if n not in before and n != "loras"] == []


@pytest.mark.parametrize(
    "path",
    ["/media/output/..%2f..%2fworkspace.png", "/media/output/%2e%2e.png", "/api/generate/jobs/%2e%2e", "/api/generate/history/nothing"],
)
def test_only_what_was_drawn_is_served(client, path):
    assert client.get(path).status_code in (400, 404)
