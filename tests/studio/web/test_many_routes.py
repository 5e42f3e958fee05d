"""What the dialogues for many pictures ask: crops with a look ahead, masks, and what a person says of those."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import make_pair
from tests.studio.datasets.things import draw_thing, open_portrait

pytest.importorskip("cv2")


@pytest.fixture
def dataset(client):
    made = client.post("/api/datasets", json={"name": "Many", "kind": "pictures"}).json()["id"]
    pictures = {"portrait.png": open_portrait(), "thing.png": draw_thing(1, "flat")[0], "plain.png": Image.new("RGB", (200, 100), "navy")}
    files = [("files", (name, encode(picture), "image/png")) for name, picture in pictures.items()]
    client.post(f"/api/datasets/{made}/files", files=files)
    return made


def finish(client, context, answer):
    assert answer.status_code == 200, answer.text
    job = context.work.get(answer.json()["id"])
    assert job.over.wait(60)
    return client.get(f"/api/jobs/{job.id}").json()


def rows(client, dataset):
    return client.get(f"/api/datasets/{dataset}").json()["pictures"]


def test_frames_are_shown_before_anything_is_done_with_what_they_were_laid_around(client, dataset):
    before = rows(client, dataset)
    told = client.post(f"/api/datasets/{dataset}/crops/preview", json={"shape": "1:2"}).json()
    assert told["count"] == 3 and told["installed"] and "opencv-python-headless" in told["install"]
    assert [f["said"] for f in told["frames"]] == ["Kept around one face", "Kept around what stands out", "Kept around what stands out"]
    assert told["frames"][0]["crop"][2:] == [128, 256] and told["frames"][0]["width"] == 256
    first = {"places": [[before[0]["place"], 1]], "shape": "1:2", "keep": "face"}
    assert client.post(f"/api/datasets/{dataset}/crops/preview", json=first).json()["count"] == 1
    assert rows(client, dataset) == before


def test_many_are_cropped_as_one_step_that_is_undone(client, context, dataset):
    before = rows(client, dataset)
    job = finish(client, context, client.post(f"/api/datasets/{dataset}/crops", json={"shape": "1:1", "keep": "face"}))
    assert job["state"] == "done" and job["accepted"] == 1 and job["title"] == "Crop 3 pictures"
    assert [one["name"] for one in job["refused"]] == ["thing.png", "plain.png"]
    job = finish(
        client, context, client.post(f"/api/datasets/{dataset}/crops", json={"shape": "1:1", "ids": [r["id"] for r in before[1:]]})
    )
    assert [(r["width"], r["height"]) for r in rows(client, dataset)] == [(256, 256), (240, 240), (100, 100)]
    client.post(f"/api/datasets/{dataset}/undo", json={"token": job["token"]})
    assert rows(client, dataset) == before


@pytest.mark.parametrize(("body", "said"), [({"shape": "square"}, "such as 3:4"), ({"shape": "1:1", "keep": "nose"}, "")])
def test_what_is_no_shape_or_no_way_to_keep_is_refused(client, dataset, body, said):
    answer = client.post(f"/api/datasets/{dataset}/crops/preview", json=body)
    assert answer.status_code in (400, 422) and said in answer.text


def test_masks_are_made_looked_through_kept_and_taken_away(client, context, dataset):
    path = f"/api/datasets/{dataset}"
    assert client.post(f"{path}/masks/count", json={}).json() | {"install": ""} == {
        "count": 3, "by_hand": 0, "auto": 0, "installed": True, "install": "",
    }  # fmt: skip
    job = finish(client, context, client.post(f"{path}/masks", json={}))
    assert job["accepted"] == 2 and [one["name"] for one in job["refused"]] == ["plain.png"] and "1 is left as it was" in job["sentence"]
    info = client.get(path).json()
    first, second = info["pictures"][:2]
    assert info["unseen"] == [[first["place"], 2]] and first["masked"] == "auto"
    shown = np.asarray(Image.open(io.BytesIO(client.get(f"{path}/pictures/{first['id']}/masked/192.webp").content)).convert("L"), float)
    plain = np.asarray(open_portrait().resize((192, 192)).convert("L"), float)
    assert abs(shown[40:55, 75:95] - plain[40:55, 75:95]).mean() < 12  # the face is as it was
    assert shown[10:60, 150:185].mean() < 0.5 * plain[10:60, 150:185].mean()  # what is behind her is dimmed
    kept = client.post(f"{path}/masks/decide", json={"places": [[first["place"], 1]], "keep": True}).json()
    assert kept["count"] == 1 and client.get(path).json()["unseen"] == [[second["place"], 1]]
    gone = client.post(f"{path}/masks/decide", json={"keep": False}).json()
    assert gone["count"] == 1 and [r.get("masked") for r in rows(client, dataset)] == ["hand", None, None]
    for body in ({}, {"ids": [first["id"], second["id"]]}):
        told = client.post(f"{path}/masks/count", json=body).json()
        assert (told["count"], told["by_hand"], told["auto"]) == (2 if body else 3, 1, 0)
    client.post(f"{path}/undo", json={"token": gone["token"]})
    assert client.get(path).json()["unseen"] == [[second["place"], 1]]


def test_one_mask_is_offered_with_the_faces_it_was_made_around_and_nothing_is_kept(client, dataset):
    first, _, plain = rows(client, dataset)
    path = f"/api/datasets/{dataset}/pictures"
    answer = client.get(f"{path}/{first['id']}/mask/subject.png")
    assert answer.headers["Darkroom-Faces"] == "1" and Image.open(io.BytesIO(answer.content)).size == (256, 256)
    assert not client.get(f"{path}/{first['id']}/mask").json()["masked"]
    refused = client.get(f"{path}/{plain['id']}/mask/subject.png")
    assert refused.status_code == 400 and "Paint the mask by hand" in refused.text
    assert client.get(f"{path}/{plain['id']}/masked/192.webp").status_code == 400  # it has none


def test_the_subject_of_one_picture_is_told_with_what_it_was(client, dataset):
    first, thing, _ = rows(client, dataset)
    told = client.get(f"/api/datasets/{dataset}/pictures/{first['id']}/subject?aspect=0.5").json()
    assert told["said"] == "Kept around one face" and told["crop"][2:] == [128, 256]
    assert client.get(f"/api/datasets/{dataset}/pictures/{thing['id']}/subject?aspect=0.5").json()["around"] == "subject"


def test_without_opencv_pages_say_what_is_lacking_and_nothing_else_changes(client, context, dataset, monkeypatch):
    (context.workspace.cache / "faces_v1.sqlite").unlink(missing_ok=True)  # what was found before would still be known
    monkeypatch.setitem(sys.modules, "cv2", None)
    first = rows(client, dataset)[0]
    path = f"/api/datasets/{dataset}"
    told = client.post(f"{path}/crops/preview", json={"shape": "1:2"}).json()
    assert not told["installed"] and {f["around"] for f in told["frames"]} == {"subject"}
    assert not client.get(f"{path}/pictures/{first['id']}/edit").json()["finds_faces"]
    assert not client.get(f"{path}/pictures/{first['id']}/mask").json()["installed"]
    assert "pip install" in client.get(f"{path}/pictures/{first['id']}/mask/subject.png").text


def test_masks_of_edit_pairs_are_refused_and_their_crops_are_not(client, context):
    pairs = client.post("/api/datasets", json={"name": "Pairs", "kind": "pairs"}).json()["id"]
    sides = zip(("before", "after"), make_pair(1, size=(128, 64)), strict=True)
    client.post(f"/api/datasets/{pairs}/files", files=[("files", (f"{side}/1.png", data, "image/png")) for side, data in sides])
    refused = client.post(f"/api/datasets/{pairs}/masks", json={})
    assert refused.status_code == 400 and "learnt whole" in refused.text
    job = finish(client, context, client.post(f"/api/datasets/{pairs}/crops", json={"shape": "1:1"}))
    assert job["title"] == "Crop 1 pair" and (rows(client, pairs)[0]["width"], rows(client, pairs)[0]["height"]) == (64, 64)


def test_an_empty_data_set_is_told_so(client):
    empty = client.post("/api/datasets", json={"name": "Empty", "kind": "pictures"}).json()["id"]
    assert "no pictures here yet" in client.post(f"/api/datasets/{empty}/crops", json={"shape": "1:1"}).text
