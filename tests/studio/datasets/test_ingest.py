"""What becomes of dropped files: names, captions beside pictures, folders, the same twice, a full disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os

import pytest
from PIL import Image

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.changes import Changes
from studio.datasets.ingest import clean_name, ingest_folder, ingest_upload
from studio.datasets.store import DatasetStore
from tests.studio.datasets.drawing import draw_corners, draw_figure, encode, encode_with_orientation, write_zip


def picture(seed: int, kind: str = "PNG") -> bytes:
    return encode(draw_figure(seed, 64), kind)


def test_a_dropped_picture_has_a_copy_to_train_on_and_stays_as_it_was(store, dataset, drop):
    data = encode_with_orientation(draw_corners(), 6)
    (outcome,) = drop("holiday.jpg", data)
    taken = store.picture(dataset, outcome.picture_id)
    assert (outcome.accepted, taken.name, taken.bytes, taken.text, taken.version) == (True, "holiday.jpg", len(data), "", 1)
    with Image.open(store.path(dataset, taken.id)) as copy:
        assert (copy.format, copy.mode, copy.size) == ("PNG", "RGB", (taken.width, taken.height)) == ("PNG", "RGB", (40, 60))
        assert not copy.getexif() and not copy.info
    originals = list((store.workspace.dataset(dataset) / ".originals").iterdir())
    assert [p.read_bytes() for p in originals] == [data]


def test_no_file_that_leaves_the_data_set_carries_the_place_where_it_was_taken(store, dataset, drop, tmp_path):
    from studio.datasets.export import export_dataset

    (outcome,) = drop("holiday.jpg", encode_with_orientation(draw_corners(), 1))
    out = export_dataset(store, dataset, tmp_path / "out")
    thumbnail = store.thumbnail(dataset, outcome.picture_id, 192)
    for path in (*out.iterdir(), thumbnail):
        assert b"Exif" not in path.read_bytes() and b"GPS" not in path.read_bytes()


def test_the_same_file_again_is_refused_under_the_name_it_has(drop):
    assert drop("a.png", picture(1))[0].accepted
    (again,) = drop("b.png", picture(1))
    assert not again.accepted and "already here as “a.png”" in again.reason


def test_many_at_once_keep_their_order_and_of_twins_among_them_the_first_stays(store, dataset, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(70):  # more than two batches, decoded several at a time
        (folder / f"{n:02}.png").write_bytes(b"no picture" if n == 7 else picture(5 if n in (6, 66) else n))
    outcomes = ingest_folder(store, dataset, folder)
    assert [o.name for o in outcomes] == [f"{n:02}.png" for n in range(70)]
    assert [o.name for o in outcomes if not o.accepted] == ["06.png", "07.png", "66.png"]
    assert "already here as “05.png”" in outcomes[6].reason and "already here as “05.png”" in outcomes[66].reason
    assert "cannot be read" in outcomes[7].reason or "not a picture" in outcomes[7].reason
    kept = store.pictures(dataset)
    assert [p.name for p in kept] == [o.name for o in outcomes if o.accepted]
    for row in kept:  # each under its own content
        assert hashlib.sha256((folder / row.name).read_bytes()).hexdigest().startswith(row.id)


def test_the_list_names_a_picture_only_after_the_disk_has_it(store, dataset, drop, monkeypatch):
    calls = []
    write, sync = files.write_bytes, files.sync_folder
    monkeypatch.setattr(files, "write_bytes", lambda path, data, **how: (calls.append(("write", path.name)), write(path, data, **how)))
    monkeypatch.setattr(files, "sync_folder", lambda folder: (calls.append(("sync", folder.name)), sync(folder)))
    put = Changes.add
    monkeypatch.setattr(Changes, "add", lambda self, row, *place: (calls.append(("add", row.name)), put(self, row, *place)))
    (outcome,) = drop("a.png", picture(1))
    named = calls.index(("add", "a.png"))
    copy, original = (calls.index(("write", f"{outcome.picture_id}.png"), at) for at in (0, 1))
    assert calls.index(("sync", "images")) < named and calls.index(("sync", ".originals")) < named
    assert max(copy, original) < min(calls.index(("sync", "images")), calls.index(("sync", ".originals")))


def test_four_pictures_of_one_stem_have_four_captions(store, dataset, tmp_path):
    entries = {
        "a.jpg": picture(1, "JPEG"),
        "a.png": picture(2),
        "a.b.png": picture(3),
        "sub/a.png": picture(4),
        "a.jpg.txt": b"one",
        "a.png.txt": b"two",
        "a.b.txt": b"three",
        "sub/a.txt": b"four",
    }
    ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", entries))
    assert {p.name: p.text for p in store.pictures(dataset)} == {"a.jpg": "one", "a.png": "two", "a.b.png": "three", "sub/a.png": "four"}
    assert len({p.sha256 for p in store.pictures(dataset)}) == 4


NAUGHTY = [
    "😀 zog.png", "صورة.png", "\u202egnp.evil.png", "two\nlines.png", "-rf.png", "'quo\"tes'.png", "$(touch x).png", "<img onerror=x>.png",
    "a" * 251 + ".png", "CON.png", " .png", "%2e%2e%2f.png", "con|pipe?.png", "..png", "日本語.png",
]  # fmt: skip


@pytest.mark.parametrize("name", NAUGHTY)
def test_any_name_is_shown_as_given_and_stored_under_a_safe_id(store, dataset, drop, name):
    (outcome,) = drop(name, picture(1))
    taken = store.picture(dataset, outcome.picture_id)
    assert taken.name == name and taken.file == f"images/{taken.id}.png" and taken.id.isalnum()
    assert [p.name for p in DatasetStore(store.workspace).pictures(dataset)] == [name]


POINTING = {"../../x.png": "x.png", "C:\\pics\\x.png": "C:/pics/x.png", "/abs/x.png": "abs/x.png", "\0": "picture", "\ud800.png": "?.png"}


@pytest.mark.parametrize(("given", "shown"), POINTING.items())
def test_a_name_cannot_point_anywhere(given, shown):
    assert clean_name(given) == shown


def test_a_picture_under_a_wrong_suffix_is_taken_for_what_it_is(store, dataset, drop):
    (outcome,) = drop("photo.png", picture(1, "JPEG"))
    assert outcome.accepted
    assert [p.suffix for p in (store.workspace.dataset(dataset) / ".originals").iterdir()] == [".jpg"]


@pytest.mark.parametrize(("name", "data"), [("a.svg", b"<svg/>"), ("a.exe", b"MZ"), ("a", b"hello"), ("a.safetensors", bytes(9))])
def test_other_files_are_refused_by_name(drop, name, data):
    (outcome,) = drop(name, data)
    assert (outcome.name, outcome.accepted, outcome.picture_id) == (name, False, None) and "PNG" in outcome.reason


ENCODED = {
    "utf-8": "café ça".encode(),
    "bom": b"\xef\xbb\xbf" + "café ça".encode(),
    "utf-16": "café ça".encode("utf-16"),
    "utf-16 without mark": "café ça".encode("utf-16-le"),
    "utf-16-be without mark": "café ça".encode("utf-16-be"),
    "utf-32": "café ça".encode("utf-32"),
    "cp1252": "café ça".encode("cp1252"),
    "crlf": "café\r\nça\r\n".encode(),
    "controls": "caf\x07\x00é\tça\x1b".replace("\x07\x00", "").encode(),
    "decomposed": "cafe\u0301 c\u0327a".encode(),
}


@pytest.mark.parametrize("name", ENCODED)
def test_captions_are_read_in_any_encoding(store, dataset, drop, name):
    drop("a.png", picture(1))
    assert drop("a.txt", ENCODED[name])[0].accepted
    assert store.pictures(dataset)[0].text == "café ça"


def test_a_caption_of_100_kb_is_refused_with_the_limit(store, dataset, drop):
    drop("a.png", picture(1))
    (outcome,) = drop("a.txt", b"word " * 20_000)
    assert not outcome.accepted and "100 kB" in outcome.reason and "2,000 characters" in outcome.reason
    assert store.pictures(dataset)[0].text == ""


def test_an_empty_caption_counts_as_none(store, dataset, drop):
    drop("a.txt", b"  \r\n")
    drop("a.png", picture(1))
    assert store.info(dataset).num_captions == 0


def test_a_caption_that_comes_before_its_picture_waits_for_it(store, dataset, drop):
    (outcome,) = drop("zog.txt", b"zog on a hill")
    assert outcome.accepted and "waits" in outcome.reason
    drop("zog.png", picture(1))
    assert (store.pictures(dataset)[0].text, store.pictures(dataset)[0].text_by) == ("zog on a hill", "file")


def test_a_caption_file_never_replaces_what_the_person_wrote(store, dataset, drop):
    from studio.datasets.captions import set_caption

    pid = drop("a.png", picture(1))[0].picture_id
    set_caption(store, dataset, pid, "my words", 1)
    (outcome,) = drop("a.txt", b"from the file")
    assert not outcome.accepted and "they stay" in outcome.reason
    assert store.picture(dataset, pid).text == "my words"


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_a_list_of_captions_is_understood(store, dataset, tmp_path, name):
    rows = {"a.png": "one, two", "train/b.png": "three"}
    text = "".join(json.dumps({"file_name": k, "text": v}) + "\n" for k, v in rows.items())
    if name.endswith("csv"):
        text = 'file_name,text\na.png,"one, two"\ntrain/b.png,three\n'
    entries = {"a.png": picture(1), "train/b.png": picture(2), name: text.encode()}
    ingest_upload(store, dataset, "z.zip", write_zip(tmp_path / "z.zip", entries))
    assert {p.name: p.text for p in store.pictures(dataset)} == rows


@pytest.mark.parametrize("text", ["not json", '{"text": "no file"}', "[1]", "12"])
def test_a_list_of_captions_that_is_none_is_refused_and_pictures_stay(drop, store, dataset, text):
    drop("a.png", picture(1))
    (outcome,) = drop("metadata.jsonl", text.encode())
    assert not outcome.accepted and "file_name and text" in outcome.reason


def test_a_folder_is_taken_in_the_order_of_names_with_its_subfolders(store, dataset, tmp_path):
    root = tmp_path / "pictures"
    (root / "b").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for seed, name in enumerate(["2.png", "1.png", "b/1.png", ".hidden/x.png"]):
        (root / name).write_bytes(picture(seed))
    (root / "1.txt").write_text("first")
    ingest_folder(store, dataset, root)
    assert [(p.name, p.text) for p in store.pictures(dataset)] == [("1.png", "first"), ("2.png", ""), ("b/1.png", "")]


def test_an_empty_folder_gives_no_outcome_and_a_missing_one_is_named(store, dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    assert ingest_folder(store, dataset, tmp_path / "empty") == []
    with pytest.raises(DarkroomError, match="There is no folder"):
        ingest_folder(store, dataset, tmp_path / "missing")


def test_a_full_disk_is_said_plainly_and_leaves_no_half_picture(store, dataset, drop, monkeypatch):
    drop("a.png", picture(1))

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    (outcome,) = drop("b.png", picture(2))
    monkeypatch.undo()
    assert not outcome.accepted and "disk is full" in outcome.reason
    assert [p.name for p in store.pictures(dataset)] == ["a.png"]
    assert not [p for p in store.workspace.dataset(dataset).rglob("*.part")]
