"""Many pictures cut to one shape, each around its own subject, in one step."""

from __future__ import annotations

import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets import crops
from studio.datasets.checks import Target
from studio.datasets.crops import NO_FACE, Wish, crop_pictures, find_crops, read_shape, say_cropped
from studio.datasets.edits import Edit, edit_of
from studio.datasets.faces import read_faces
from studio.datasets.watch import Stopped, Watch
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.pairs import make_pair
from tests.studio.datasets.things import draw_thing, open_portrait

pytest.importorskip("cv2")
TARGET = Target(128, 32)


@pytest.fixture
def rows(store, dataset, drop):
    drop("portrait.png", encode(open_portrait().resize((512, 512))))
    for seed in range(3):
        drop(f"thing_{seed}.png", encode(draw_thing(seed, "flat", (300, 200))[0]))
    return store.pictures(dataset)


def crop(store, dataset, rows, shape, keep="subject", watch=None):
    return crop_pictures(store, dataset, [(row, edit_of(row.images[-1])) for row in rows], len(rows), Wish(shape, keep, TARGET), watch)


def sizes(store, dataset):
    return [(row.width, row.height) for row in store.pictures(dataset)]


def test_all_get_the_shape_around_a_face_or_what_stands_out_and_one_undo_takes_it_back(store, dataset, rows):
    made = crop(store, dataset, rows, "1:2")
    assert sizes(store, dataset) == [(256, 512)] + [(100, 200)] * 3
    assert dict(made.around) == {"faces": 1, "subject": 3} and made.done == [row.id for row in rows] and not made.left
    assert say_cropped(made) == "4 cropped: 1 around faces, 3 around what stands out."
    left, _, width, _ = edit_of(store.pictures(dataset)[0]).crop
    assert left <= 160 and left + width >= 290  # the face lies from 172 to 278
    with Image.open(store.path(dataset, store.pictures(dataset)[0].face)) as shown:
        assert shown.size == (256, 512)
    assert crop(store, dataset, store.pictures(dataset), "1:2").token == ""  # they are so already
    store.undo(dataset, made.token)
    assert store.pictures(dataset) == rows


def test_the_middle_is_the_middle_and_a_bucket_is_the_nearest_that_the_training_knows(store, dataset, rows):
    crop(store, dataset, rows, "1:1", "middle")
    assert [edit_of(row).crop for row in store.pictures(dataset)] == [None] + [(50, 0, 200, 200)] * 3
    crop(store, dataset, store.pictures(dataset), "bucket", "middle")
    assert sizes(store, dataset)[0] == (512, 512)
    width, height = sizes(store, dataset)[1]
    assert width / height == pytest.approx(160 / 96, abs=0.02)


def test_with_faces_alone_who_has_none_stays_and_is_named(store, dataset, rows):
    made = crop(store, dataset, rows, "3:4", "face")
    assert made.done == [rows[0].id] and made.left == [(row.name, NO_FACE) for row in rows[1:]]
    assert sizes(store, dataset)[1:] == [(300, 200)] * 3
    assert say_cropped(made).endswith("3 are left as they were.")


def test_turned_and_mirrored_pictures_stay_so_and_the_shape_is_that_of_the_turned_one(store, dataset, rows):
    turned = Edit(turns=1, mirrored=True)
    crop_pictures(store, dataset, [(row, turned) for row in rows], 4, Wish("1:2", "subject", TARGET))
    assert sizes(store, dataset) == [(256, 512)] + [(150, 300)] * 3
    assert all(edit_of(row).turns == 1 and edit_of(row).mirrored for row in store.pictures(dataset))


def test_a_part_too_small_to_learn_from_is_left_as_it_is(store, dataset, rows):
    made = crop(store, dataset, rows, "1:8")
    assert sizes(store, dataset) == [(64, 512)] + [(300, 200)] * 3
    assert [name for name, _ in made.left] == ["thing_0.png", "thing_1.png", "thing_2.png"]
    assert all("at least 32 px" in reason for _, reason in made.left)


def test_faces_are_looked_for_once_and_in_processes_where_they_are_many(store, dataset, rows, monkeypatch):
    monkeypatch.setattr(crops, "_PROCESSES_FROM", 2)
    crop(store, dataset, rows, "1:2")
    known = read_faces(store.workspace.cache, [row.sha256 for row in rows])
    assert [len(known[row.sha256]) for row in rows] == [1, 0, 0, 0]
    monkeypatch.setattr(crops, "_PROCESSES_FROM", 99)
    monkeypatch.setattr(crops, "find_faces", lambda picture: pytest.fail("it was looked at already"))
    assert dict(crop(store, dataset, store.pictures(dataset), "2:1").around) == {"faces": 1, "subject": 3}


@pytest.mark.parametrize("after", [1, 6])
def test_stopped_while_it_looks_or_cuts_nothing_has_changed(store, dataset, rows, after):
    steps = []

    def tell(watch):
        steps.append(watch.done)
        if len(steps) > after:
            watch.stop()

    with pytest.raises(Stopped):
        crop(store, dataset, rows, "1:2", watch=Watch(tell))
    assert store.pictures(dataset) == rows


def test_both_sides_of_a_pair_are_cut_alike_and_halves_are_left(store, tmp_path):
    from studio.datasets.ingest import ingest_folder

    pairs = store.create("Pairs", "pairs").id
    for side, data in zip(("before", "after"), make_pair(1, size=(128, 64)), strict=True):
        (tmp_path / "in" / side).mkdir(parents=True)
        (tmp_path / "in" / side / "1.png").write_bytes(data)
    (tmp_path / "in" / "before" / "2.png").write_bytes(make_pair(2, size=(128, 64))[0])
    ingest_folder(store, pairs, tmp_path / "in")
    made = crop(store, pairs, store.pictures(pairs), "1:1")
    whole = store.index(pairs).get(made.done[0])
    assert [(image.width, image.height) for image in whole.images] == [(64, 64)] * 2
    assert len({image.edit.split('"whole"')[0] for image in whole.images}) == 1
    assert [reason for _, reason in made.left] == ["It still waits for its picture after; both sides of a pair are cut alike."]


@pytest.mark.parametrize("shape", ["square", "3:0", "3", "a:b", ""])
def test_what_is_no_shape_is_refused_with_one_that_is(shape):
    with pytest.raises(DarkroomError, match="such as 3:4"):
        read_shape(shape)


def test_a_look_ahead_at_the_first_ones_changes_nothing(store, dataset, rows):
    found = list(find_crops(store, dataset, [(row, Edit()) for row in rows], len(rows), Wish("1:1", "subject", TARGET)))
    assert [one.around for one in found] == ["faces", "subject", "subject", "subject"] and found[1].edit.crop[2:] == (200, 200)
    assert store.pictures(dataset) == rows


def test_a_damaged_file_is_left_and_named(store, dataset, rows):
    (store.workspace.dataset(dataset) / rows[1].file).write_bytes(b"no picture")
    made = crop(store, dataset, rows, "1:2")
    assert len(made.done) == 3 and [name for name, _ in made.left] == ["thing_0.png"] and "cannot be read" in made.left[0][1]
