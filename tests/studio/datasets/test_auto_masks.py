"""Masks of many pictures made without a hand: one step to undo, a person's masks stay, and who has none is named."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.datasets import auto_masks
from studio.datasets.auto_masks import drop_masks, find_auto, keep_masks, make_masks, make_one
from studio.datasets.edit_pictures import edit_pictures
from studio.datasets.edits import Edit
from studio.datasets.masks import find_mask, is_auto, set_masks
from studio.datasets.watch import Stopped, Watch
from tests.studio.datasets.drawing import encode
from tests.studio.datasets.things import compute_overlap, draw_thing, open_portrait

pytest.importorskip("cv2")
SIZE = (240, 180)


@pytest.fixture
def rows(store, dataset, drop):
    for seed in range(3):
        drop(f"thing_{seed}.png", encode(draw_thing(seed, "gradient", SIZE)[0]))
    drop("plain.png", encode(Image.new("RGB", SIZE, (90, 120, 40))))
    return store.pictures(dataset)


def make(store, dataset, rows, **options):
    return make_masks(store, dataset, rows, len(rows), **options)


def read(store, dataset, row):
    with Image.open(find_mask(store.workspace.dataset(dataset), row)) as mask:
        return np.asarray(mask.convert("L"))


def test_subjects_are_masked_the_rest_is_named_and_one_undo_takes_all_away(store, dataset, rows):
    made = make(store, dataset, rows)
    now = store.pictures(dataset)
    assert made.count == 3 and made.left == [("plain.png", "Nothing stands out from its background.")]
    assert [is_auto(row.mask) for row in now] == [True, True, True, False] and not now[3].mask
    for seed in range(3):
        assert compute_overlap(read(store, dataset, now[seed]) > 127, draw_thing(seed, "gradient", SIZE)[1]) > 0.9
    assert find_auto(store.index(dataset)) == [row.place for row in now[:3]]
    store.undo(dataset, made.token)
    assert store.pictures(dataset) == rows and find_auto(store.index(dataset)) == []


def test_a_mask_that_a_person_made_stays_until_it_is_said_to_give_way(store, dataset, rows):
    hand = Image.new("L", SIZE)
    hand.paste(255, (0, 0, 50, 50))
    set_masks(store, dataset, {rows[1].id: hand})
    made = make(store, dataset, store.pictures(dataset))
    assert (made.count, made.by_hand) == (2, 1)
    assert (read(store, dataset, store.pictures(dataset)[1]) == np.asarray(hand)).all()
    over = make(store, dataset, store.pictures(dataset), over=True)
    assert (over.count, over.by_hand) == (3, 0) and is_auto(store.pictures(dataset)[1].mask)
    store.undo(dataset, over.token)
    assert (read(store, dataset, store.pictures(dataset)[1]) == np.asarray(hand)).all()


def test_a_mask_painted_meanwhile_stays(store, dataset, rows):
    hand = Image.new("L", SIZE, 255)

    def paint(watch):
        if watch.done == 1:
            set_masks(store, dataset, {rows[0].id: hand})

    assert make(store, dataset, rows, watch=Watch(paint)).count == 2
    assert not is_auto(store.pictures(dataset)[0].mask)


def test_masks_that_are_right_become_the_persons_and_others_are_taken_away(store, dataset, rows):
    make(store, dataset, rows)
    now = store.pictures(dataset)
    before = read(store, dataset, now[0])
    token, count = keep_masks(store, dataset, now[:1])
    assert count == 1 and not is_auto(store.pictures(dataset)[0].mask)
    assert (read(store, dataset, store.pictures(dataset)[0]) == before).all()
    assert drop_masks(store, dataset, store.pictures(dataset))[1] == 2  # the kept one stays
    assert [bool(row.mask) for row in store.pictures(dataset)] == [True, False, False, False]
    store.undo(dataset, token)
    assert is_auto(store.pictures(dataset)[0].mask)
    assert keep_masks(store, dataset, store.pictures(dataset)[3:]) == ("", 0)


def test_masks_of_cut_pictures_are_of_the_whole_and_one_that_lies_outside_the_cut_is_refused(store, dataset, rows):
    outline = draw_thing(0, "gradient", SIZE)[1]
    down, across = np.nonzero(outline)
    free = (0, 0, max(32, int(across.min()) - 4), 180) if across.min() > 40 else (int(across.max()) + 4, 0, 236 - int(across.max()), 180)
    assert free[2] >= 32
    edit_pictures(store, dataset, {rows[0].id: Edit(crop=free), rows[1].id: Edit(crop=(0, 0, 200, 180), turns=1)})
    made = make(store, dataset, store.pictures(dataset)[:2])
    assert made.count == 1 and "as it is cut" in made.left[0][1]
    assert read(store, dataset, store.pictures(dataset)[1]).shape == (200, 180)


@pytest.mark.parametrize("processes", [False, True])
def test_in_threads_and_in_processes_the_same_masks_come(store, dataset, rows, monkeypatch, processes):
    make(store, dataset, rows)
    first = [row.mask for row in store.pictures(dataset)]
    monkeypatch.setattr(auto_masks, "_PROCESSES_FROM", 2 if processes else 99)
    make(store, dataset, store.pictures(dataset))
    assert [row.mask for row in store.pictures(dataset)] == first


def test_stopped_nothing_has_changed(store, dataset, rows):
    def stop(watch):
        if watch.done == 2:
            watch.stop()

    with pytest.raises(Stopped):
        make(store, dataset, rows, watch=Watch(stop))
    assert store.pictures(dataset) == rows


def test_one_mask_is_made_to_look_at_and_nothing_of_it_is_kept(store, dataset, drop):
    drop("portrait.png", encode(open_portrait()))
    (row,) = store.pictures(dataset)
    made, faces = make_one(store.workspace.dataset(dataset), store.workspace.cache, row)
    assert faces == 1 and made.mask.size == (256, 256) and store.pictures(dataset) == [row]
    assert not (store.workspace.dataset(dataset) / "masks").exists()


def test_edit_pairs_are_refused(store, tmp_path):
    from studio.datasets.ingest import ingest_folder
    from tests.studio.datasets.pairs import make_pair

    pairs = store.create("Pairs", "pairs").id
    for side, data in zip(("before", "after"), make_pair(1, size=(128, 64)), strict=True):
        (tmp_path / side).mkdir()
        (tmp_path / side / "1.png").write_bytes(data)
    ingest_folder(store, pairs, tmp_path)
    with pytest.raises(DarkroomError, match="edit pair"):
        make(store, pairs, store.pictures(pairs))
