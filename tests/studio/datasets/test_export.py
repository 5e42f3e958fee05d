"""A data set leaves as plain files that any trainer reads, under names that any system holds."""

from __future__ import annotations

import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract.errors import DarkroomError
from studio.datasets.captions import set_caption
from studio.datasets.export import export_dataset, safe_stem
from studio.datasets.ingest import ingest_folder, ingest_upload
from tests.studio.datasets.drawing import draw_figure, encode

NAMES = [
    "." * 200,
    "a.png",
    "a.jpg",
    "A.PNG",
    "CON.png",
    "😀 zog.png",
    "..png",
    "two\nlines.png",
    "a/b.png",
    'q"<|>?.png',
    "metadata.jsonl.png",
    "." * 200,
]


@pytest.fixture
def filled(store, dataset, drop):
    for n, name in enumerate(NAMES):
        pid = drop(name, encode(draw_figure(n, 48)))[0].picture_id
        if n % 2 == 0:
            set_caption(store, dataset, pid, f"caption {n} ça", None)
    return dataset


def test_a_zip_taken_in_again_gives_the_same_pictures_and_captions(store, filled, tmp_path):
    path = export_dataset(store, filled, tmp_path / "out.zip")
    again = store.create("Again").id
    outcomes = ingest_upload(store, again, "out.zip", path)
    assert all(o.accepted for o in outcomes)
    before, after = store.pictures(filled), store.pictures(again)
    assert [(p.sha256, p.text) for p in sorted(after, key=lambda p: p.sha256)] == [
        (p.sha256, p.text) for p in sorted(before, key=lambda p: p.sha256)
    ]


def test_a_folder_has_metadata_with_the_standard_columns(store, filled, tmp_path):
    out = export_dataset(store, filled, tmp_path / "out")
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert [set(r) for r in rows] == [{"file_name", "text"}] * len(NAMES)
    assert [r["text"] for r in rows] == [p.text for p in store.pictures(filled)]
    assert all((out / r["file_name"]).is_file() for r in rows)
    assert len({r["file_name"].casefold() for r in rows}) == len(NAMES)
    again = store.create("Again").id
    ingest_folder(store, again, out)
    assert store.info(again).num_captions == store.info(filled).num_captions


def test_names_in_the_zip_stay_inside(store, filled, tmp_path):
    with zipfile.ZipFile(export_dataset(store, filled, tmp_path / "out.zip")) as archive:
        assert not [n for n in archive.namelist() if "/" in n or "\\" in n or n.startswith(".")]


def test_an_empty_data_set_and_a_full_folder_are_refused(store, filled, tmp_path):
    with pytest.raises(DarkroomError, match="no pictures yet"):
        export_dataset(store, store.create("Empty").id, tmp_path / "x.zip")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DarkroomError, match="not empty"):
        export_dataset(store, filled, tmp_path)
    with pytest.raises(DarkroomError, match="cannot be written"):
        export_dataset(store, filled, tmp_path / "missing" / "x.zip")


@given(st.text(max_size=300))
def test_any_name_becomes_a_file_name_that_every_system_holds(name):
    stem = safe_stem(name.encode("utf-8", "replace").decode())
    assert stem and len(stem.encode()) <= 101
    assert not set(stem) & set('/\\<>:"|?*\n\r\t\0') and not stem.startswith((".", "-")) and not stem.endswith((".", " "))
    assert stem.casefold() not in ("con", "prn", "aux", "nul", "com1", "lpt9")


def test_the_folder_reads_as_an_imagefolder_with_the_standard_columns(store, filled, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = export_dataset(store, filled, tmp_path / "out")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert list(loaded["text"]) == [row.text for row in store.pictures(filled)]
    assert [image.size for image in loaded["image"]] == [(row.width, row.height) for row in store.pictures(filled)]
