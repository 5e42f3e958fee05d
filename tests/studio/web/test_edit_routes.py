"""The routes of the crop dialog and the bucket preview: what they take, what they refuse, what an address shows."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.studio.datasets.drawing import RED, YELLOW, draw_corners, draw_figure, encode


@pytest.fixture
def dataset(client):
    made = client.post("/api/datasets", json={"name": "Crops", "kind": "pictures"}).json()["id"]
    client.post(f"/api/datasets/{made}/files", files=[("files", ("corners.png", encode(draw_corners(400, 200)), "image/png"))])
    return made


@pytest.fixture
def row(client, dataset):
    return client.get(f"/api/datasets/{dataset}").json()["pictures"][0]


def look(client, dataset, image):
    answer = client.get(f"/media/picture/{dataset}/{image}")
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


def test_each_edit_has_an_address_of_its_own_and_the_old_ones_show_what_they_showed(client, dataset, row):
    path = f"/api/datasets/{dataset}/pictures/{row['id']}/edit"
    saved = client.put(path, json={"crop": [200, 100, 200, 100]}).json()
    image = saved["picture"]["img"]
    assert image != row["img"] and saved["picture"]["edited"] and saved["picture"]["id"] == row["id"]
    assert look(client, dataset, image).getpixel((5, 5)) == YELLOW
    assert look(client, dataset, row["img"]).getpixel((5, 5)) == RED  # the whole one, kept by browsers for ever
    assert client.get(f"/media/thumb/{dataset}/{image}/192.webp").status_code == 200
    told = client.get(path).json()
    assert (told["crop"], told["width"], told["whole"]) == ([200, 100, 200, 100], 400, row["img"])
    back = client.post(f"/api/datasets/{dataset}/undo", json={"token": saved["token"]}).json()
    assert back["pictures"][0]["img"] == row["img"] and "edited" not in back["pictures"][0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"crop": [0, 0, 10, 10]}, 400),
        ({"crop": [0, 0, 500, 100]}, 400),
        ({"crop": [0, 0, 100]}, 400),
        ({"crop": ["a", 0, 1, 1]}, 422),
        ({"crop": [None, 0, 1, 1]}, 422),
        ({"turns": 1.5}, 422),
        ({"turns": 10**9}, 422),
    ],
)
def test_what_is_no_edit_is_refused_and_nothing_changes(client, dataset, row, body, status):
    answer = client.put(f"/api/datasets/{dataset}/pictures/{row['id']}/edit", json=body)
    assert answer.status_code == status and answer.json()["error"]["text"]
    assert client.get(f"/api/datasets/{dataset}").json()["pictures"][0] == row


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none_are_refused(client, dataset, row, value):
    body = f'{{"crop": [0, 0, {value}, 100]}}'
    answer = client.put(f"/api/datasets/{dataset}/pictures/{row['id']}/edit", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422) and answer.json()["error"]["text"]


def test_the_subject_is_looked_for_in_the_whole_picture(client, dataset, row):
    answer = client.get(f"/api/datasets/{dataset}/pictures/{row['id']}/subject?aspect=1").json()
    assert answer["crop"][1:] == [0, 200, 200] and 0 <= answer["crop"][0] <= 200
    assert client.get(f"/api/datasets/{dataset}/pictures/{row['id']}/subject?aspect=0").status_code == 422
    assert client.get(f"/api/datasets/{dataset}/pictures/{row['id']}/subject?aspect=90").status_code == 400
    assert client.get(f"/api/datasets/{dataset}/pictures/nobody/subject?aspect=1").status_code == 404


def test_exclusion_is_told_with_the_row_and_undone(client, dataset, row):
    token = client.post(f"/api/datasets/{dataset}/exclude", json={"ids": [row["id"]]}).json()["token"]
    assert client.get(f"/api/datasets/{dataset}").json()["pictures"][0]["excluded"]
    assert client.get(f"/api/datasets/{dataset}/buckets").json()["buckets"] == []
    client.post(f"/api/datasets/{dataset}/undo", json={"token": token})
    assert "excluded" not in client.get(f"/api/datasets/{dataset}").json()["pictures"][0]
    assert client.post(f"/api/datasets/{dataset}/exclude", json={"ids": []}).status_code == 400


def test_the_preview_and_the_dialog_say_the_same_bucket(client, dataset):
    (bucket,) = client.get(f"/api/datasets/{dataset}/buckets?resolution=256").json()["buckets"]
    place = client.get(f"/api/datasets/{dataset}/place?width=400&height=200&resolution=256").json()
    assert (place["width"], place["height"]) == (bucket["width"], bucket["height"])
    assert place["lost"] == bucket["examples"][0]["lost"] and place["enlarged"] == bucket["most_enlarged"]
    assert client.get(f"/api/datasets/{dataset}/buckets?resolution=100").status_code == 400


def test_pictures_judge_teach_again_and_the_step_is_undone(client, dataset, row):
    path = f"/api/datasets/{dataset}"
    client.post(f"{path}/files", files=[("files", ("plain.png", encode(draw_figure(5, 128)), "image/png"))])
    token = client.post(f"{path}/judge", json={"places": [[row["place"], 1]]}).json()["token"]
    told = client.get(path).json()
    assert (told["judges"], told["kinds"]["judges"], told["num_judges"], told["pictures"][0]["judges"]) == ([[row["place"], 1]], 1, 1, True)
    assert client.get(f"{path}/places?kind=judges").json() == {"places": [[row["place"], 1]]}
    client.post(f"{path}/exclude", json={"ids": [row["id"]]})
    excluded = client.get(path).json()
    assert (excluded["judges"], excluded["num_judges"]) == ([[row["place"], 1]], 0)
    back = client.post(f"{path}/undo", json={"token": token}).json()
    assert back["judges"] == [] and "judges" not in back["pictures"][0] and back["pictures"][0]["excluded"]
    client.post(f"{path}/judge", json={"ids": [row["id"]]})
    client.post(f"{path}/judge", json={"ids": [row["id"]], "judges": False})
    assert client.get(path).json()["judges"] == []
    assert client.post(f"{path}/judge", json={"ids": []}).status_code == 400
