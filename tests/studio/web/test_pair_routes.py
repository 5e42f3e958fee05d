"""The routes of edit pairs: begun with a kind, filled file by file, turned, matched, worded, drafted, checked."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import draw_scene, make_pair
from tests.studio.web.exporting import exported
from tests.studio.web.test_datasets import send
from tests.waiting import wait_until


def begin(client, **body):
    answer = client.post("/api/datasets", json={"name": "Day to night", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def pairs(client):
    """Three pairs with two instructions."""
    made = begin(client, kind="pairs")["id"]
    files = []
    for n in range(3):
        for side, data in zip(("before", "after"), make_pair(n), strict=True):
            files.append((f"{side}/{n}.png", data))
    send(client, made, *files, ("after/0.txt", b"make it blue"), ("after/1.txt", b"make it blue"))
    return made


def shown(client, dataset):
    return client.get(f"/api/datasets/{dataset}").json()["pictures"]


LISTED = '{"original_image": "x.png", "edit_prompt": "a", "edited_image": "y.png"}'
BEGINNINGS = [
    ({"files": ["set/input_images/1.png", "set/output_images/1.png"]}, "pairs"),
    ({"files": ["a_before.png", "a_after.png"]}, "pairs"),
    (
        {
            "files": ["metadata.jsonl", "x.png", "y.png"],
            "listed": '{"original_image": "x.png", "edit_prompt": "a", "edited_image": "y.png"}',
        },
        "pairs",
    ),
    ({"files": ["metadata.csv", "x.png"], "listed": "file_name,text\nx.png,a"}, "pictures"),
    ({"files": ["1.png", "2.png"]}, "pictures"),
    ({"files": ["1.png"], "kind": "pairs"}, "pairs"),
    ({"files": ["a_before.png", "a_after.png"], "kind": "pictures"}, "pictures"),
    ({}, "pictures"),
]


@pytest.mark.parametrize(("body", "kind"), BEGINNINGS)
def test_the_kind_is_chosen_by_a_person_or_plain_from_the_names(client, body, kind):
    made = begin(client, **body)
    assert made["kind"] == kind
    if kind == "pairs":
        assert made["trigger_word"] == ""


def test_a_zip_decides_when_it_is_open(client):
    made = begin(client, files=["edits.zip"])["id"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for side, data in zip(("before", "after"), make_pair(1), strict=True):
            archive.writestr(f"edits/{side}/1.png", data)
    answer = client.post(f"/api/datasets/{made}/files", files=[("files", ("edits.zip", packed.getvalue(), "application/zip"))]).json()
    assert answer["kind"] == "pairs" and [o["accepted"] for o in answer["outcomes"]] == [True, True]
    assert len(shown(client, made)) == 1


def test_a_kind_that_is_none_or_too_many_names_are_refused(client):
    assert client.post("/api/datasets", json={"name": "x", "kind": "videos"}).status_code == 422
    assert client.post("/api/datasets", json={"name": "x", "files": ["a.png"] * 4001}).status_code == 422


def test_a_pair_is_shown_with_both_sides_and_its_pictures_are_served(client, pairs):
    first = shown(client, pairs)[0]
    assert (first["text"], first["by"], first["missing"], first["before"]["name"]) == ("make it blue", "file", "", "before/0.png")
    for side in ("before", "after"):
        for address in (f"/media/thumb/{pairs}/{first[side]['id']}/192.webp", f"/media/picture/{pairs}/{first[side]['id']}"):
            answer = client.get(address)
            assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    assert client.get(f"/media/picture/{pairs}/{'0' * 24}").status_code == 404


def test_a_half_waits_and_takes_the_picture_that_is_dropped_on_its_place(client, pairs):
    before, after = make_pair(9)
    (outcome,) = send(client, pairs, ("before/late.png", before))
    half = outcome["picture"]
    assert (half["missing"], half["after"]["id"]) == ("after", "")
    address = f"/api/datasets/{pairs}/files?pair={half['id']}&side=after"
    wrong = client.post(address, files=[("files", ("any.png", encode(draw_scene(9, size=(80, 80))), "image/png"))]).json()["outcomes"][0]
    assert not wrong["accepted"] and "80 x 80 px" in wrong["reason"]
    right = client.post(address, files=[("files", ("any.png", after, "image/png"))]).json()["outcomes"][0]
    assert right["accepted"] and right["picture"]["missing"] == "" and right["picture"]["id"] == half["id"]
    assert (
        client.post(f"/api/datasets/{pairs}/files?pair=x&side=middle", files=[("files", ("a.png", after, "image/png"))]).status_code == 422
    )


def test_refused_files_are_named_with_their_reason(client, pairs):
    outcomes = {o["name"]: o for o in send(client, pairs, ("plain.png", encode(draw_scene(20))), ("notes.pdf", b"%PDF"))}
    assert "before or after" in outcomes["plain.png"]["reason"] and not outcomes["plain.png"]["accepted"]
    assert not outcomes["notes.pdf"]["accepted"]


def test_pairs_are_turned_removed_and_put_back(client, pairs):
    before = shown(client, pairs)
    turned = client.post(f"/api/datasets/{pairs}/swap", json={"ids": [before[0]["id"]]}).json()
    assert turned["pictures"][0]["before"] == before[0]["after"] and turned["pictures"][1] == before[1]
    assert client.post(f"/api/datasets/{pairs}/undo", json={"token": turned["token"]}).json()["pictures"] == before
    token = client.post(f"/api/datasets/{pairs}/remove", json={"ids": [before[1]["id"]]}).json()["token"]
    assert client.post(f"/api/datasets/{pairs}/undo", json={"token": token}).json()["pictures"] == before
    assert client.post(f"/api/datasets/{pairs}/swap", json={"ids": ["nothing"]}).status_code == 404


def test_one_wording_for_all_and_back(client, pairs):
    before = shown(client, pairs)
    said = client.post(f"/api/datasets/{pairs}/say", json={"text": "make it night"}).json()
    assert {p["text"] for p in said["pictures"]} == {"make it night"} and {p["by"] for p in said["pictures"]} == {"person"}
    back = client.post(f"/api/datasets/{pairs}/undo", json={"token": said["token"]}).json()["pictures"]
    assert [p["text"] for p in back] == [p["text"] for p in before]


def test_pairs_are_swapped_and_told_one_instruction_by_their_places_each_with_one_undo(client, pairs):
    before = shown(client, pairs)
    places = [[before[1]["place"], 2]]
    turned = client.post(f"/api/datasets/{pairs}/swap", json={"places": places}).json()
    assert turned["pictures"][0] == before[0]
    assert [p["before"] for p in turned["pictures"][1:]] == [p["after"] for p in before[1:]]
    assert client.post(f"/api/datasets/{pairs}/undo", json={"token": turned["token"]}).json()["pictures"] == before
    said = client.post(f"/api/datasets/{pairs}/say", json={"text": "make it night", "places": places}).json()
    assert [p["text"] for p in said["pictures"]] == ["make it blue", "make it night", "make it night"]
    back = client.post(f"/api/datasets/{pairs}/undo", json={"token": said["token"]}).json()["pictures"]
    assert [(p["text"], p["by"]) for p in back] == [(p["text"], p["by"]) for p in before]


@pytest.mark.parametrize("act", [("swap", {}), ("say", {"text": "make it night"})])
def test_places_of_pairs_that_are_gone_are_left_out_and_no_place_at_all_is_refused(client, pairs, act):
    path, body = act
    before = shown(client, pairs)
    client.post(f"/api/datasets/{pairs}/remove", json={"places": [[before[0]["place"], 1]]})
    done = client.post(f"/api/datasets/{pairs}/{path}", json={**body, "places": [[before[0]["place"], 2]]})
    assert done.status_code == 200 and [p["id"] for p in done.json()["pictures"]] == [p["id"] for p in before[1:]]
    assert done.json()["pictures"][0] != before[1] and done.json()["pictures"][1] == before[2]
    for nobody in ([], [[before[0]["place"], 1]]):
        refused = client.post(f"/api/datasets/{pairs}/{path}", json={**body, "places": nobody})
        assert refused.status_code == 404 and "no such pair" in refused.json()["error"]["text"]
    assert shown(client, pairs) == done.json()["pictures"]  # none was never taken for all
    assert client.post(f"/api/datasets/nowhere/{path}", json={**body, "places": [[1, 1]]}).status_code == 404


def test_halves_are_matched_by_name_where_it_is_plain(client):
    made = begin(client, kind="pairs")["id"]
    before, after = make_pair(1)
    send(client, made, ("before/IMG_1.png", before), ("after/img1.png", after))
    assert client.get(f"/api/datasets/{made}").json()["num_incomplete"] == 2
    matched = client.post(f"/api/datasets/{made}/match").json()
    assert (matched["count"], len(matched["pictures"]), matched["num_incomplete"]) == (1, 1, 0)
    assert client.post(f"/api/datasets/{made}/match").status_code == 400


def test_instructions_are_saved_with_their_version_and_a_clash_is_told(client, pairs):
    row = client.get(f"/api/captions/{pairs}").json()["pictures"][2]
    assert row["before"] and row["after"] and row["tokens"] == 0
    address = f"/api/captions/{pairs}/pictures/{row['id']}"
    assert client.put(address, json={"text": "make it green", "version": row["version"]}).status_code == 200
    clash = client.put(address, json={"text": "mine", "version": row["version"]})
    assert clash.status_code == 409 and clash.json()["error"]["theirs"]["text"] == "make it green"


def test_drafts_are_made_and_confirmed_all_at_once_with_a_way_back(client, pairs):
    assert client.post(f"/api/captions/{pairs}/job", json={"captioner": "none", "trigger_word": "zog"}).status_code == 200
    wait_until(lambda: client.get(f"/api/captions/{pairs}/changes").json()["job"]["state"] == "finished")
    rows = client.get(f"/api/captions/{pairs}").json()
    assert [(r["text"], r["by"]) for r in rows["pictures"]] == [("make it blue", "file")] * 2 + [("make the background blue", "draft")]
    assert rows["dataset"]["kind"] == "pairs" and rows["dataset"]["trigger_word"] == ""
    confirmed = client.post(f"/api/captions/{pairs}/confirm", json={}).json()
    assert confirmed["count"] == 1 and shown(client, pairs)[2]["by"] == "person"
    client.post(f"/api/captions/{pairs}/undo", json={"token": confirmed["token"]})
    assert shown(client, pairs)[2]["by"] == "draft"


def test_marks_the_check_and_the_rail_speak_of_pairs(client, pairs):
    same = encode(draw_scene(30))
    send(client, pairs, ("before/same.png", same), ("after/same.png", same), ("before/half.png", encode(draw_scene(31))))
    place = next(r["place"] for r in shown(client, pairs) if r["name"] == "same")
    wait_until(lambda: client.get(f"/api/datasets/{pairs}/marks").json()["ready"])
    (row,) = client.get(f"/api/datasets/{pairs}/marks", params={"places": str(place)}).json()["rows"]
    assert "nothing changes" in {m["text"] for m in row["marks"]}
    client.post(f"/api/check/{pairs}")
    wait_until(lambda: not client.get(f"/api/check/{pairs}/status").json()["running"])
    told = client.get(f"/api/check/{pairs}").json()
    assert told["dataset"]["kind"] == "pairs" and {f["code"] for f in told["report"]["findings"]} >= {"incomplete", "unchanged", "few"}
    assert told["rows"] and all({"img", "before"} <= set(row) for row in told["rows"].values())
    rail = client.get("/api/rail", params={"page": "dataset", "dataset": pairs}).json()
    assert rail["dataset"]["sub"] == "5 edit pairs" and rail["steps"]["dataset"] == {"mark": "you", "figure": "4/5", "part": 0.0}


def test_the_sample_pairs_are_one_click_and_home_offers_them(client):
    offered = client.get("/api/home").json()["pairs"]
    assert [p["key"] for p in offered] == ["edits"] and offered[0]["count"] >= 200
    made = client.post("/api/home/sample", json={"name": "edits"}).json()
    assert client.get(f"/api/datasets/{made['id']}").json()["kind"] == "pairs"
    assert client.post("/api/home/sample", json={"name": "../zog"}).status_code == 400
    work = next(w for w in client.get("/api/home").json()["works"] if w["id"] == made["id"])
    assert "edit pairs" in work["facts"] and all(client.get(p).status_code == 200 for p in work["pictures"])


def test_an_export_has_two_folders_and_a_list(client, pairs):
    with zipfile.ZipFile(io.BytesIO(exported(client, pairs))) as archive:
        lines = [json.loads(line) for line in archive.read("metadata.jsonl").splitlines()]
        assert [line["instruction"] for line in lines] == ["make it blue", "make it blue", ""]
        assert {line["input_image"] for line in lines} | {line["output_image"] for line in lines} < set(archive.namelist())


def test_the_kind_of_an_empty_data_set_can_be_changed_and_of_a_full_one_not(client, pairs):
    empty = begin(client)["id"]
    assert client.post(f"/api/datasets/{empty}/kind", json={"kind": "pairs"}).json()["kind"] == "pairs"
    refused = client.post(f"/api/datasets/{pairs}/kind", json={"kind": "pictures"})
    assert refused.status_code == 400 and "only while nothing is in it" in refused.json()["error"]["text"]
