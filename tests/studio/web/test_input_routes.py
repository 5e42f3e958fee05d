"""Pictures to edit by the routes: uploaded, taken from the history or from held-out pairs, edited by the real worker, shown again."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from tests.edit_runs import write_edit_run
from tests.studio.web.drawing import draw
from tests.waiting import wait_for_end

pytestmark = pytest.mark.slow
VALUES = {"prompt": "make the background blue", "num_inference_steps": 2, "seed": 7, "loras": [{"key": "run:edits@80", "weight": 1}]}


@pytest.fixture(scope="module")
def run(client):
    return write_edit_run(client.app.state.context.workspace, "edits")


def upload(client, data, name="house.png"):
    return client.post("/api/inputs", files={"file": (name, data, "image/png")})


def picture(size=(160, 120), colour="#4f9a55"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_uploaded_picture_is_edited_and_edited_again(client, run):
    taken = upload(client, picture()).json()
    assert (taken["name"], taken["width"], taken["height"]) == ("house.png", 160, 120)
    job = draw(client, {**VALUES, "image": taken["id"]})
    assert (job["state"], job["edits"]) == ("done", True)
    answer = client.get("/api/generate").json()
    newest = answer["edits"]["items"][0]
    assert newest["id"] == job["pictures"][0]["id"] and newest["settings"]["image"]["id"] == taken["id"]
    assert all(o["id"] != newest["id"] for o in answer["history"]["items"])
    again = client.post("/api/inputs/drawn", json={"output": newest["id"]}).json()
    assert again["name"] == "make the background blue.png" and again["id"] != taken["id"]
    assert draw(client, {**VALUES, "image": again["id"]})["state"] == "done"
    assert client.get("/api/generate/history?edits=true").json()["items"][1]["id"] == newest["id"]


def test_a_strip_of_an_edit_goes_over_how_closely_the_picture_is_kept(client, run):
    taken = upload(client, picture()).json()
    job = draw(client, {**VALUES, "image": taken["id"]}, strip=True)
    assert [p["label"] for p in job["pictures"]] == ["1.00", "1.25", "1.50", "1.75", "2.00", "2.50", "3.00"]
    assert client.get("/api/generate").json()["strips"]["image_guidance_scale"]["id"] == job["id"]


def test_a_strip_of_a_whole_model_ends_where_it_was_trained_to(client):
    write_edit_run(client.app.state.context.workspace, "whole", backend="sd15/text_to_image_full")
    job = draw(client, {**VALUES, "loras": [{"key": "run:whole", "weight": 1}]}, strip=True)
    assert (job["state"], [p["label"] for p in job["pictures"]]) == ("done", ["0.00", "0.25", "0.50", "0.75", "1.00"])


def test_the_picture_comes_back_in_the_size_asked_for_and_never_as_a_page(client):
    taken = upload(client, picture()).json()
    whole, small = client.get(f"/media/input/{taken['id']}.png"), client.get(f"/media/input/{taken['id']}.png?w=96")
    assert Image.open(io.BytesIO(whole.content)).size == (160, 120) and Image.open(io.BytesIO(small.content)).width == 96
    assert "sandbox" in whole.headers["content-security-policy"]
    assert client.get(f"/api/inputs/{taken['id']}").json()["name"] == "house.png"


def test_pairs_that_the_run_was_not_trained_on_are_offered_and_taken_by_id(client, run):
    offered = client.get("/api/runs/edits/pairs").json()
    assert len(offered) == 3 and all(p["text"] for p in offered)
    taken = client.post("/api/inputs/pair", json={"run": "edits", "pair": offered[0]["id"]}).json()
    assert (taken["width"], taken["height"]) == (128, 128)
    for body in ({"run": "edits", "pair": "../../etc/passwd"}, {"run": "../edits", "pair": offered[0]["id"]}):
        assert client.post("/api/inputs/pair", json=body).status_code in (400, 404)
    thumb = client.get(f"/media/compare/edits/pair/{offered[0]['id']}/before.webp?w=96")
    assert Image.open(io.BytesIO(thumb.content)).size == (96, 96)
    assert client.get(f"/media/compare/edits/pair/{offered[0]['id']}/after.webp").status_code == 404
    assert client.get("/media/compare/edits/pair/nothing/before.webp").status_code in (400, 404)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("evil.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG drawing"),
        ("page.png", b"<!doctype html><script>alert(1)</script>", "a web page"),
        ("nothing.png", b"", "empty"),
        ("torn.png", picture()[:80], "ends in the middle|damaged"),
    ],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(client, context, name, data, words):
    before = sorted(p.name for p in context.workspace.root.rglob("*"))
    answer = upload(client, data, name)
    assert answer.status_code == 400 and answer.json()["error"]["field"] == "image"
    assert re.search(words, answer.json()["error"]["text"]) and name in answer.json()["error"]["text"]
    assert [p.name for p in context.workspace.root.rglob("*") if p.name not in before and p.name != "inputs"] == []


@pytest.mark.parametrize(
    "path", ["/media/input/..%2f..%2fworkspace.png", "/media/input/%2e%2e.png", "/api/inputs/nothing", "/media/input/" + "0" * 24 + ".png"]
)
def test_only_what_was_taken_in_is_served(client, path):
    assert client.get(path).status_code in (400, 404)


def test_each_base_model_tells_what_it_can_do(client, run):
    bases = {b["key"]: b for b in client.get("/api/generate").json()["bases"]}
    assert bases["pocket-flux"]["samplers"] == ["default", "euler", "dpmpp_2m", "unipc"]
    assert not bases["pocket-flux"]["reads_negative"] and bases["flux-schnell"]["reads_negative"]
    assert [k for k, b in bases.items() if b["refines"]] == ["pocket-sdxl", "sdxl"]
    assert {b["side_step"] for b in bases.values()} == {8, 16}


def test_the_comparison_of_a_run_on_edits_proposes_its_pairs(client, run):
    answer = client.get("/api/runs/edits/compare").json()
    assert answer["proposed"]["edits"] and answer["proposed"]["largest_scale"] == 1
    assert len(answer["proposed"]["prompts"]) == 2 and len(answer["pairs"]) == 3
    started = client.post("/api/runs/edits/compare", json={"prompts": [answer["pairs"][2]["id"]], "steps": [80]})
    assert started.status_code == 200 and started.json()["columns"][0]["side"] == "before"
    status = wait_for_end(lambda: client.get("/api/runs/edits/compare/status").json())
    assert status["state"] == "done"
    sheet = client.get("/api/runs/edits/compare/sheet.png")
    assert Image.open(io.BytesIO(sheet.content)).height > 128
