"""Edits of pictures: cut, turned, mirrored, left out; the file that came in stays, and each step has a way back."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.checks import check_dataset
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Edit, checked_edit
from studio.datasets.export import export_dataset
from studio.datasets.formats.write_out import export_table
from studio.datasets.index import PictureIndex
from studio.datasets.ingest import ingest_upload
from studio.datasets.rows import from_plain, to_plain
from tests.studio.datasets.drawing import BLUE, GREEN, RED, YELLOW, draw_corners, draw_figure, encode, encode_with_orientation, read_corners
from tests.studio.datasets.pairs import write_folders


@pytest.fixture
def corners(store, dataset, drop):
    """A data set of one picture of 120 x 80 px with four colours; its row."""
    drop("corners.png", encode(draw_corners(120, 80)))
    (row,) = store.pictures(dataset)
    return row


def read(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def folder_state(store, dataset):
    folder = store.workspace.dataset(dataset)
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for part in ("images", ".originals") for p in (folder / part).iterdir()}


@pytest.mark.parametrize(
    ("edit", "size", "seen"),
    [
        (Edit(crop=(60, 0, 60, 80)), (60, 80), [GREEN, GREEN, YELLOW, YELLOW]),
        (Edit(turns=1), (80, 120), [BLUE, RED, YELLOW, GREEN]),
        (Edit(turns=2), (120, 80), [YELLOW, BLUE, GREEN, RED]),
        (Edit(turns=3), (80, 120), [GREEN, YELLOW, RED, BLUE]),
        (Edit(mirrored=True), (120, 80), [GREEN, RED, YELLOW, BLUE]),
        (Edit(turns=1, mirrored=True), (80, 120), [RED, BLUE, GREEN, YELLOW]),
        (Edit(crop=(0, 0, 120, 40), turns=1), (40, 120), [RED, RED, GREEN, GREEN]),
    ],
)
def test_an_edit_is_seen_by_all_who_look_and_changes_no_file_that_was_there(store, dataset, corners, edit, size, seen):
    before = folder_state(store, dataset)
    edit_pictures(store, dataset, {corners.id: edit})
    (row,) = store.pictures(dataset)
    assert (row.id, row.name, row.text) == (corners.id, corners.name, corners.text)
    assert (row.width, row.height) == size
    assert read_corners(read(store.path(dataset, row.face))) == seen
    assert read_corners(read(store.thumbnail(dataset, row.face, 192)))[0] != (0, 0, 0)
    after = folder_state(store, dataset)
    assert {path: after[path] for path in before} == before
    assert row.face != corners.face and row.content != corners.content


def test_exif_comes_before_the_edit(store, dataset, drop):
    drop("turned.jpg", encode_with_orientation(draw_corners(120, 80), 6))  # held upright it is 80 x 120, blue at the top left
    (row,) = store.pictures(dataset)
    assert (row.width, row.height) == (80, 120)
    edit_pictures(store, dataset, {row.id: Edit(crop=(0, 0, 40, 60))})
    corner = read(store.path(dataset, store.pictures(dataset)[0].face)).getpixel((5, 5))
    assert all(abs(a - b) < 12 for a, b in zip(corner, BLUE, strict=True))


def test_a_second_edit_is_of_the_whole_picture_and_an_empty_one_gives_it_back(store, dataset, corners):
    edit_pictures(store, dataset, {corners.id: Edit(crop=(0, 0, 40, 40))})
    edit_pictures(store, dataset, {corners.id: Edit(crop=(80, 40, 40, 40))})
    assert read_corners(read(store.path(dataset, store.pictures(dataset)[0].face))) == [YELLOW] * 4
    edit_pictures(store, dataset, {corners.id: Edit()})
    assert store.pictures(dataset) == [corners]


def test_steps_are_undone_one_by_one_and_words_written_since_stay(store, dataset, corners):
    first = edit_pictures(store, dataset, {corners.id: Edit(crop=(0, 0, 40, 40))})
    (cut,) = store.pictures(dataset)
    second = edit_pictures(store, dataset, {corners.id: Edit(turns=1)})
    captions.set_caption(store, dataset, corners.id, "four colours", corners.version)
    assert captions.undo(store, dataset, second) == 1
    (now,) = store.pictures(dataset)
    assert (now.face, now.text) == (cut.face, "four colours")
    assert captions.undo(store, dataset, first) == 1
    (now,) = store.pictures(dataset)
    assert (now.face, now.width, now.edit) == (corners.face, corners.width, "")
    with pytest.raises(DarkroomError, match="no longer be undone"):
        captions.undo(store, dataset, first)


def test_a_removed_picture_comes_back_with_its_edit(store, dataset, corners):
    edit_pictures(store, dataset, {corners.id: Edit(crop=(0, 0, 40, 40))})
    exclude_pictures(store, dataset, [corners.id], excluded=True)
    (row,) = store.pictures(dataset)
    store.undo(dataset, store.remove(dataset, [corners.id]))
    assert store.pictures(dataset) == [row]
    assert from_plain(to_plain(row)) == row


def test_an_edited_picture_is_known_when_its_file_is_dropped_again(store, dataset, corners, drop):
    edit_pictures(store, dataset, {corners.id: Edit(turns=1)})
    (outcome,) = drop("again.png", encode(draw_corners(120, 80)))
    assert not outcome.accepted and "already here" in outcome.reason
    assert store.info(dataset).num_pictures == 1


def test_the_whole_file_outlives_the_trash_while_an_edit_shows_a_part_of_it(store, dataset, corners):
    edit_pictures(store, dataset, {corners.id: Edit(crop=(0, 0, 40, 40))})
    (row,) = store.pictures(dataset)
    edit_pictures(store, dataset, {corners.id: Edit(crop=(0, 0, 50, 50))})
    assert store.empty_trash(dataset, older_than_s=0) == 1  # the former cut
    assert not (store.workspace.dataset(dataset) / row.file).exists()
    edit_pictures(store, dataset, {corners.id: Edit()})
    assert read(store.path(dataset, corners.id)).size == (120, 80)


@pytest.mark.parametrize(
    ("crop", "told"),
    [
        ((10, 10, 20, 60), "at least 32 px"),
        ((100, 0, 40, 40), "120 x 80 px"),
        ((-5, 0, 40, 40), "inside"),
        ((0, 0, 40), "four numbers"),
        ((0.5, 0.5, 0.1, 0.5), "at least 32 px"),
    ],
)
def test_a_cut_that_does_not_fit_is_refused_with_its_numbers(crop, told):
    with pytest.raises(DarkroomError, match=told):
        checked_edit(crop, 0, mirrored=False, size=(120, 80))


def test_shares_and_pixels_say_the_same():
    assert checked_edit((0.25, 0, 0.5, 1), 5, mirrored=True, size=(120, 80)) == Edit((30, 0, 60, 80), 1, True)
    assert checked_edit((0, 0, 120, 80), 0, mirrored=False, size=(120, 80)) == Edit()


def test_nothing_changes_where_one_of_several_cannot_be_edited(store, dataset, corners, drop):
    drop("second.png", encode(draw_figure(1, 64)))
    before = store.pictures(dataset)
    (store.workspace.dataset(dataset) / before[1].file).unlink()
    with pytest.raises(DarkroomError, match="second.png.* is gone or damaged"):
        edit_pictures(store, dataset, {row.id: Edit(turns=1) for row in before})
    assert store.pictures(dataset) == before


def test_both_sides_of_a_pair_are_edited_alike(store, tmp_path):
    pairs = store.create("Pairs", "pairs").id
    ingest(store, pairs, write_folders(tmp_path / "in", 2))
    row, other = store.pictures(pairs)
    token = edit_pictures(store, pairs, {row.id: Edit(crop=(0, 0, 40, 32), turns=1)})
    now = store.pictures(pairs)[0]
    assert [(i.width, i.height) for i in now.images] == [(32, 40)] * 2
    assert now.missing == "" and now.content != row.content and store.pictures(pairs)[1] == other
    assert store.undo(pairs, token) == 1 and store.pictures(pairs)[0] == row


def test_half_a_pair_is_not_edited(store, tmp_path):
    pairs = store.create("Pairs", "pairs").id
    root = write_folders(tmp_path / "in", 1)
    (root / "output_images" / "000.png").unlink()
    ingest(store, pairs, root)
    (row,) = store.pictures(pairs)
    with pytest.raises(DarkroomError, match="waits for its picture after"):
        edit_pictures(store, pairs, {row.id: Edit(turns=1)})


def ingest(store, dataset, root):
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        ingest_upload(store, dataset, path.relative_to(root).as_posix(), path)


def test_the_check_sees_the_cut_and_not_what_is_excluded(store, dataset, drop):
    for seed in range(12):
        drop(f"{seed:02d}.png", encode(draw_figure(seed, 256)))
    rows = store.pictures(dataset)
    assert not [f for f in check_dataset(store, dataset, base_model="pocket-sdxl").findings if f.code == "small"]
    edit_pictures(store, dataset, {rows[3].id: Edit(crop=(20, 20, 48, 48))})
    (small,) = [f for f in check_dataset(store, dataset, base_model="pocket-sdxl").findings if f.code == "small"]
    assert small.picture_ids == [rows[3].id] and "48 px" in small.rule
    exclude_pictures(store, dataset, [rows[3].id], excluded=True)
    report = check_dataset(store, dataset, base_model="pocket-sdxl")
    assert not [f for f in report.findings if f.code == "small"]
    assert sum(len(use.cuts) for use in report.buckets) == 11


def test_fingerprints_change_with_edits_and_exclusion(store, dataset, corners):
    whole = store.fingerprint(dataset)
    token = edit_pictures(store, dataset, {corners.id: Edit(mirrored=True)})
    assert store.fingerprint(dataset) != whole
    store.undo(dataset, token)
    assert store.fingerprint(dataset) == whole
    exclude_pictures(store, dataset, [corners.id], excluded=True)
    assert store.fingerprint(dataset) != whole


def test_excluded_pictures_stay_and_are_counted_apart(store, dataset, drop):
    for seed in range(3):
        drop(f"{seed}.png", encode(draw_figure(seed, 64)))
    first, second, third = store.pictures(dataset)
    token = exclude_pictures(store, dataset, [first.id, third.id], excluded=True)
    info = store.info(dataset)
    assert (info.num_pictures, info.num_excluded, info.num_training) == (3, 2, 1)
    assert store.training_pictures(dataset) == [second]
    exclude_pictures(store, dataset, [third.id], excluded=False)
    assert store.info(dataset).num_training == 2
    store.undo(dataset, token)
    assert store.info(dataset).num_training == 3


def test_exports_have_the_edited_pictures_and_not_the_excluded_ones(store, dataset, corners, drop, tmp_path):
    drop("out.png", encode(draw_figure(1, 64)))
    edit_pictures(store, dataset, {corners.id: Edit(crop=(60, 0, 60, 80))})
    (excluded,) = [row for row in store.pictures(dataset) if row.name == "out.png"]
    exclude_pictures(store, dataset, [excluded.id], excluded=True)
    export_dataset(store, dataset, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["corners.png"]
    assert read(tmp_path / "out" / "corners.png").size == (60, 80)
    assert export_table(store, dataset, tmp_path / "out.parquet", "parquet") == 1
    exclude_pictures(store, dataset, [corners.id], excluded=True)
    with pytest.raises(DarkroomError, match="excluded from training"):
        export_dataset(store, dataset, tmp_path / "none")


FIRST_ROWS = "place, id, name, folded, text, text_by, version, missing, content, changed"
FIRST_IMAGES = "place, side, id, name, file, width, height, bytes, sha256, path_key, words_key"
FIRST_LAYOUT = """
CREATE TABLE rows(
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, folded TEXT NOT NULL,
  text TEXT NOT NULL, text_by TEXT NOT NULL, version INTEGER NOT NULL,
  missing TEXT NOT NULL, content TEXT NOT NULL, changed INTEGER NOT NULL
);
CREATE INDEX rows_folded ON rows(folded);
CREATE INDEX rows_content ON rows(content);
CREATE INDEX rows_changed ON rows(changed);
CREATE INDEX rows_missing ON rows(missing, place) WHERE missing <> '';
CREATE INDEX rows_silent ON rows(place) WHERE text = '';
CREATE TABLE images(
  place INTEGER NOT NULL REFERENCES rows ON DELETE CASCADE, side TEXT NOT NULL,
  id TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, path_key TEXT NOT NULL, words_key TEXT NOT NULL,
  PRIMARY KEY(place, side)
) WITHOUT ROWID;
CREATE INDEX images_id ON images(id) WHERE file <> '';
CREATE INDEX images_path_key ON images(path_key);
CREATE INDEX images_words_key ON images(words_key);
CREATE TABLE counter(changed INTEGER NOT NULL);
INSERT INTO counter VALUES (1);
PRAGMA user_version = 1;
"""


def test_a_table_of_the_first_layout_is_brought_to_this_one(store, dataset, corners):
    path = store.workspace.dataset(dataset) / "rows.sqlite"
    first = sqlite3.connect(path.with_name("first.sqlite"))
    first.executescript(FIRST_LAYOUT)
    first.execute("ATTACH ? AS now", (str(path),))
    for table, columns in (("rows", FIRST_ROWS), ("images", FIRST_IMAGES)):
        first.execute(f"INSERT INTO {table}({columns}) SELECT {columns} FROM now.{table}")
    first.commit()
    first.close()
    path.with_name("first.sqlite").replace(path)
    index = PictureIndex(path.parent)
    assert list(index.rows()) == [corners]
    edit_pictures(store, dataset, {corners.id: Edit(turns=1)})
    assert store.pictures(dataset)[0].width == 80
