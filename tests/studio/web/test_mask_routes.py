"""The routes of the mask dialogue."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from studio.web import mask_routes
from tests.studio.datasets.drawing import draw_corners, encode


def draw_mask(size, covered):
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, covered, size[1]))
    return mask


@pytest.fixture
def dataset(client):
    made = client.post("/api/datasets", json={"name": "Masks", "kind": "pictures"}).json()["id"]
    clear = draw_corners(120, 80).convert("RGBA")
    clear.putalpha(draw_mask((120, 80), 30))
    files = [("files", ("plain.png", encode(draw_corners(400, 200)), "image/png")), ("files", ("clear.png", encode(clear), "image/png"))]
    client.post(f"/api/datasets/{made}/files", files=files)
    return made


@pytest.fixture
def paths(client, dataset):
    rows = client.get(f"/api/datasets/{dataset}").json()["pictures"]
    return [f"/api/datasets/{dataset}/pictures/{row['id']}/mask" for row in rows]


def look(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def put(client, path, mask):
    return client.put(path, content=encode(mask), headers={"Content-Type": "image/png"})


def test_a_painted_mask_is_kept_told_and_taken_away(client, dataset, paths):
    assert look(client.get(f"{paths[0]}/picture.png")).getextrema() == (255, 255)
    saved = put(client, paths[0], draw_mask((400, 200), 100)).json()
    assert saved["picture"]["masked"] and client.get(paths[0]).json()["masked"]
    assert look(client.get(f"{paths[0]}/picture.png")).tobytes() == draw_mask((400, 200), 100).tobytes()
    client.post(f"/api/datasets/{dataset}/undo", json={"token": saved["token"]})
    assert not client.get(paths[0]).json()["masked"]
    put(client, paths[0], draw_mask((400, 200), 100))
    assert "masked" not in client.delete(paths[0]).json()["picture"]


def test_one_that_was_painted_on_a_smaller_copy_is_brought_to_the_picture(client, paths):
    put(client, paths[0], draw_mask((200, 100), 50))
    mask = look(client.get(f"{paths[0]}/picture.png"))
    assert mask.size == (400, 200) and mask.getpixel((90, 100)) == 255 and mask.getpixel((110, 100)) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "can be read"),
        (b"GIF89a", "can be read"),
        (encode(Image.new("L", (40, 40), 255)), "40 x 40 px"),
        (encode(Image.new("L", (400, 200))), "nothing"),
    ],
)
def test_what_is_no_mask_of_this_picture_is_refused(client, paths, data, said):
    answer = client.put(paths[0], content=data, headers={"Content-Type": "image/png"})
    assert answer.status_code == 400 and said in answer.json()["error"]["text"]
    assert not client.get(paths[0]).json()["masked"]


def test_more_than_a_mask_needs_is_not_read(client, paths, monkeypatch):
    monkeypatch.setattr(mask_routes, "MAX_MASK_BYTES", 100)
    answer = client.put(paths[0], content=b"x" * 1000)
    assert answer.status_code == 400 and "Paint a simpler one" in answer.json()["error"]["text"]


def test_transparency_is_offered_where_there_is_some(client, paths):
    assert look(client.get(f"{paths[1]}/alpha.png")).tobytes() == draw_mask((120, 80), 30).tobytes()
    answer = client.get(f"{paths[0]}/alpha.png")
    assert answer.status_code == 400 and "without transparent parts" in answer.json()["error"]["text"]
