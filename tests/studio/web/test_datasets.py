"""The Dataset page's routes: what comes in, what is refused and why, what goes and comes back."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from PIL import Image

from studio.web import uploads
from tests.studio.web.exporting import exported
from tests.waiting import wait_until


def picture(color="teal", size=(160, 128), kind="PNG"):
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, kind)
    return data.getvalue()


def send(client, dataset, *files):
    answer = client.post(
        f"/api/datasets/{dataset}/files", files=[("files", (name, data, "application/octet-stream")) for name, data in files]
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["outcomes"]


@pytest.fixture
def dataset(client):
    return client.post("/api/datasets", json={"name": "Zog the mascot"}).json()["id"]


def test_pictures_with_captions_come_in_and_are_listed(client, dataset):
    outcomes = send(
        client, dataset, ("zog_01.png", picture("red")), ("zog_01.txt", b"zog, red"), ("zog_02.jpg", picture("blue", kind="JPEG"))
    )
    assert all(o["accepted"] for o in outcomes), outcomes
    shown = client.get(f"/api/datasets/{dataset}").json()
    assert [(p["name"], p["text"]) for p in shown["pictures"]] == [("zog_01.png", "zog, red"), ("zog_02.jpg", "")]
    assert {p["width"] for p in shown["pictures"]} == {160}
    first = next(o for o in outcomes if o["name"] == "zog_01.png")
    assert first["picture"]["id"] == shown["pictures"][0]["id"]


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("sketch.psd", b"8BPS" + b"\0" * 64, "PNG"),
        ("half.png", picture()[:90], ""),
        ("words.png", b"no picture at all", ""),
        ("empty.jpg", b"", ""),
        ("broken.zip", b"PK\x03\x04 broken", ""),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", ""),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words_and_the_others_come_in(client, dataset, name, data, word):
    outcomes = {o["name"]: o for o in send(client, dataset, ("good.png", picture()), (name, data))}
    assert outcomes["good.png"]["accepted"]
    assert not outcomes[name]["accepted"]
    assert word in outcomes[name]["reason"]
    assert outcomes[name]["reason"].strip().endswith(".")
    assert "Traceback" not in outcomes[name]["reason"]
    assert [p["name"] for p in client.get(f"/api/datasets/{dataset}").json()["pictures"]] == ["good.png"]


def test_a_zip_brings_its_pictures(client, dataset):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("zog/a.png", picture("red"))
        archive.writestr("zog/a.txt", "zog, red")
        archive.writestr("zog/notes.pdf", b"%PDF")
    outcomes = {o["name"]: o["accepted"] for o in send(client, dataset, ("zog.zip", packed.getvalue()))}
    assert outcomes == {"a.png": True, "notes.pdf": False}
    shown = client.get(f"/api/datasets/{dataset}").json()["pictures"]
    assert [(p["name"], p["text"]) for p in shown] == [("a.png", "zog, red")]


def test_a_zip_that_wants_to_write_elsewhere_is_refused_whole(client, dataset):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", picture("red"))
        archive.writestr("../../escape.png", picture("blue"))
    (outcome,) = send(client, dataset, ("zog.zip", packed.getvalue()))
    assert not outcome["accepted"]
    assert client.get(f"/api/datasets/{dataset}").json()["pictures"] == []


def test_the_same_picture_twice_is_named(client, dataset):
    send(client, dataset, ("one.png", picture("red")))
    (again,) = send(client, dataset, ("two.png", picture("red")))
    assert not again["accepted"]
    assert "one.png" in again["reason"]


def test_nothing_of_an_upload_stays_behind(client, context, dataset):
    send(client, dataset, ("a.png", picture()), ("bad.zip", b"PK\x03\x04"))
    client.post(f"/api/datasets/{dataset}/files", content=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert list(context.workspace.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf', "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
    ],
)
def test_a_request_that_is_no_upload_is_refused_in_words(client, dataset, content, kind):
    answer = client.post(f"/api/datasets/{dataset}/files", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["text"].endswith(".")


def test_too_many_files_in_one_request_and_too_large_ones_are_refused(client, dataset, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILES", 3)
    many = [("files", (f"{n}.png", picture(size=(64 + n, 64)), "image/png")) for n in range(4)]
    assert client.post(f"/api/datasets/{dataset}/files", files=many).status_code == 400
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 100)
    (large,) = send(client, dataset, ("large.png", picture()))
    assert not large["accepted"]
    assert "larger" in large["reason"]


def test_a_full_disk_is_told_before_anything_is_written(client, dataset, monkeypatch):
    monkeypatch.setattr(uploads, "SPARE_BYTES", 10**18)
    answer = client.post(f"/api/datasets/{dataset}/files", files=[("files", ("a.png", picture(), "image/png"))])
    assert answer.status_code == 400
    assert "free" in answer.json()["error"]["text"]


def test_removed_pictures_come_back_with_their_captions(client, dataset):
    send(client, dataset, ("a.png", picture("red")), ("a.txt", b"zog, red"), ("b.png", picture("blue")))
    before = client.get(f"/api/datasets/{dataset}").json()["pictures"]
    token = client.post(f"/api/datasets/{dataset}/remove", json={"ids": [before[0]["id"]]}).json()["token"]
    assert [p["name"] for p in client.get(f"/api/datasets/{dataset}").json()["pictures"]] == ["b.png"]
    assert client.post(f"/api/datasets/{dataset}/undo", json={"token": token}).json()["pictures"] == before


def test_a_data_set_can_be_renamed_exported_and_deleted(client, dataset):
    send(client, dataset, ("a.png", picture("red")), ("a.txt", b"zog, red"))
    assert client.patch(f"/api/datasets/{dataset}", json={"name": "  Zog   2 "}).json()["name"] == "Zog 2"
    with zipfile.ZipFile(io.BytesIO(exported(client, dataset))) as archive:
        lines = [json.loads(line) for line in archive.read("metadata.jsonl").splitlines()]
        assert [line["text"] for line in lines] == ["zog, red"]
        assert Image.open(io.BytesIO(archive.read(lines[0]["file_name"]))).size == (160, 128)
        assert archive.read(lines[0]["file_name"].rsplit(".")[0] + ".txt") == b"zog, red\n"
    assert client.delete(f"/api/datasets/{dataset}").json()["days_left"] == 29
    assert client.get(f"/api/datasets/{dataset}").status_code == 404


@pytest.mark.parametrize("name", ["", "   ", "x" * 200, None, 5])
def test_a_name_that_is_none_is_refused(client, dataset, name):
    assert client.patch(f"/api/datasets/{dataset}", json={"name": name}).status_code in (400, 422)
    assert client.post("/api/datasets", json={"name": name}).status_code in (400, 422)


def test_names_are_kept_as_text(client):
    made = client.post("/api/datasets", json={"name": "<img src=x onerror=alert(1)>"}).json()
    assert made["name"] == "<img src=x onerror=alert(1)>"
    assert "<" not in made["id"]
    assert "<img" not in client.get("/dataset", params={"dataset": made["id"]}).text


def test_marks_show_only_what_needs_a_look(client, dataset):
    same = picture("red")
    twin = io.BytesIO()
    Image.open(io.BytesIO(same)).save(twin, "PNG", compress_level=1)
    send(client, dataset, ("tiny.png", picture("green", (40, 40))), ("good.png", picture("gold", (600, 600))))
    places = {p["name"]: p["place"] for p in client.get(f"/api/datasets/{dataset}").json()["pictures"]}
    wait_until(lambda: client.get(f"/api/datasets/{dataset}/marks").json()["ready"])
    told = client.get(f"/api/datasets/{dataset}/marks", params={"places": f"{places['tiny.png']},{places['good.png']}"}).json()
    marks = {row["place"]: {m["text"] for m in row["marks"]} for row in told["rows"]}
    assert "40 px" in marks[places["tiny.png"]] and not any("px" in text for text in marks[places["good.png"]])
