"""Masks beside pictures: painted or made of transparency, cut as the picture is, undone, frozen for a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from studio.datasets.edit_pictures import edit_pictures
from studio.datasets.edits import Edit
from studio.datasets.masks import find_mask, masks_of_alpha, read_mask_file, set_masks
from studio.datasets.merging import copy_dataset
from studio.runs.manifest import hash_rows, read_rows, write_manifest
from tests.studio.datasets.drawing import draw_corners, draw_figure, encode, encode_with_orientation

SIZE = (120, 80)


def draw_mask(size=SIZE, covered=60):
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, covered, size[1]))
    return mask


@pytest.fixture
def row(store, dataset, drop):
    drop("corners.png", encode(draw_corners(*SIZE)))
    return store.pictures(dataset)[0]


def read(store, dataset, number=0):
    path = find_mask(store.workspace.dataset(dataset), store.pictures(dataset)[number])
    return None if path is None else np.asarray(Image.open(path).convert("L"))


def test_a_mask_is_cut_turned_and_mirrored_as_its_picture_is(store, dataset, row):
    assert read(store, dataset) is None
    set_masks(store, dataset, {row.id: draw_mask()})
    assert (read(store, dataset) == np.asarray(draw_mask())).all()
    for edit in (Edit(crop=(40, 0, 60, 80)), Edit(turns=1, mirrored=True), Edit(crop=(50, 10, 40, 40), turns=3)):
        edit_pictures(store, dataset, {row.id: edit})
        assert (read(store, dataset) == np.asarray(edit.apply(draw_mask()))).all()
        assert read(store, dataset).shape[::-1] == (store.pictures(dataset)[0].width, store.pictures(dataset)[0].height)
    edit_pictures(store, dataset, {row.id: Edit()})
    assert (read(store, dataset) == np.asarray(draw_mask())).all()


def test_masks_and_edits_are_undone_each_for_itself(store, dataset, row):
    masked = set_masks(store, dataset, {row.id: draw_mask()})
    cut = edit_pictures(store, dataset, {row.id: Edit(turns=1)})
    store.undo(dataset, masked)
    assert read(store, dataset) is None and store.pictures(dataset)[0].width == 80
    again = set_masks(store, dataset, {row.id: draw_mask(covered=30)})
    store.undo(dataset, cut)
    assert (read(store, dataset) == np.asarray(draw_mask(covered=30))).all()
    store.undo(dataset, again)
    assert store.pictures(dataset) == [row]


def test_transparency_becomes_a_mask_upright(store, dataset, drop):
    clear = draw_corners(*SIZE).convert("RGBA")
    clear.putalpha(draw_mask())
    drop("clear.png", encode(clear))
    drop("plain.png", encode(draw_figure(1, 64)))
    drop("turned.jpg", encode_with_orientation(draw_corners(*SIZE), 6))
    rows = store.pictures(dataset)
    found = masks_of_alpha(store, dataset, rows)
    assert list(found) == [rows[0].id]
    set_masks(store, dataset, found)
    assert (read(store, dataset) == np.asarray(draw_mask())).all()


@pytest.mark.parametrize(("mask", "said"), [(draw_mask((60, 40)), "60 x 40 px"), (Image.new("L", SIZE), "covers nothing")])
def test_a_mask_that_does_not_fit_is_refused(store, dataset, row, mask, said):
    with pytest.raises(DarkroomError, match=said):
        set_masks(store, dataset, {row.id: mask})
    assert store.pictures(dataset) == [row]


def test_what_is_no_picture_is_no_mask():
    for data in (b"", b"x" * 100, encode(draw_mask())[:60]):
        with pytest.raises(DarkroomError, match="cannot be|can be read"):
            read_mask_file(data)
    painted = Image.new("RGBA", (4, 4), (255, 255, 255, 128))
    assert read_mask_file(encode(painted)).getpixel((0, 0)) == 128


def test_a_frozen_data_set_names_the_mask_and_its_hash_knows_it(store, dataset, row, tmp_path):
    plain = read_rows(store.workspace, dataset, store.pictures(dataset))
    assert "mask_file" not in plain[0]
    set_masks(store, dataset, {row.id: draw_mask()})
    edit_pictures(store, dataset, {row.id: Edit(crop=(20, 0, 80, 80))})
    (found,) = read_rows(store.workspace, dataset, store.pictures(dataset))
    with Image.open(found["mask_file"]) as mask, Image.open(found["file"]) as picture:
        assert mask.size == picture.size == (80, 80)
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    write_manifest(run, [found], share=0.0)
    assert json.loads(run.manifest.read_text())["mask_file"] == found["mask_file"]
    assert hash_rows([found]) != hash_rows([{k: v for k, v in found.items() if not k.startswith("mask")}])


def test_masks_outlive_the_trash_while_a_picture_has_them(store, dataset, row):
    set_masks(store, dataset, {row.id: draw_mask(covered=10)})
    set_masks(store, dataset, {row.id: draw_mask()})
    edit_pictures(store, dataset, {row.id: Edit(turns=1)})
    before = read(store, dataset)
    store.empty_trash(dataset, older_than_s=0)
    assert (read(store, dataset) == before).all()
    assert len(list((store.workspace.dataset(dataset) / "masks").iterdir())) == 2  # the whole one and the turned one


def test_a_copied_data_set_has_the_edit_the_whole_picture_and_the_mask(store, dataset, row):
    set_masks(store, dataset, {row.id: draw_mask()})
    edit_pictures(store, dataset, {row.id: Edit(crop=(20, 0, 80, 80))})
    shown = read(store, dataset)
    copied = copy_dataset(store, dataset).info.id
    store.delete(dataset)
    assert (read(store, copied) == shown).all()
    edit_pictures(store, copied, {row.id: Edit()})
    assert (read(store, copied) == np.asarray(draw_mask())).all()
    with Image.open(store.path(copied, row.id)) as whole:
        assert whole.size == SIZE
