"""Masks by commands, and crops of many around their subjects."""

from __future__ import annotations

import pytest

from studio.datasets.masks import is_auto
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import draw_figure
from tests.studio.datasets.things import draw_thing, open_portrait

pytest.importorskip("cv2")


@pytest.fixture
def dataset(studio, tmp_path):
    (tmp_path / "Mugs").mkdir()
    open_portrait().save(tmp_path / "Mugs" / "portrait.png")
    draw_thing(0, "flat")[0].save(tmp_path / "Mugs" / "thing.png")
    return studio("dataset", "import", tmp_path / "Mugs")[1]["dataset"]


def pictures(tmp_path, dataset):
    return DatasetStore(open_workspace(tmp_path / "workspace")).pictures(dataset)


def test_subjects_are_masked_and_undone_and_a_persons_mask_stays(studio, tmp_path, dataset):
    mask = draw_figure(3, 256).convert("L").point(lambda v: 255 if v > 90 else 0)
    mask.save(tmp_path / "mask.png")
    studio("dataset", "mask", dataset, "portrait.png", "--file", tmp_path / "mask.png")
    code, value = studio("dataset", "mask", dataset, "--auto")
    assert (code, value["pictures"], value["by_hand"], value["left"]) == (0, 1, 1, [])
    assert [is_auto(row.mask) for row in pictures(tmp_path, dataset)] == [False, True]
    studio("dataset", "undo", dataset, value["token"])
    assert [bool(row.mask) for row in pictures(tmp_path, dataset)] == [True, False]
    assert studio("dataset", "mask", dataset, "--auto", "--over")[1]["pictures"] == 2


@pytest.mark.parametrize(("options", "said"), [(["--auto", "--remove"], "one of --file, --auto"), (["--over"], "belongs to --auto")])
def test_ways_that_exclude_each_other_are_refused(studio, dataset, options, said):
    code, value = studio("dataset", "mask", dataset, *options)
    assert code == 2 and said in value["error"]


@pytest.mark.parametrize(
    ("options", "around", "left"),
    [
        (["--crop", "1:2"], {"faces": 1, "subject": 1}, 0),
        (["--crop", "1:2", "--keep", "face"], {"faces": 1}, 1),
        (["--crop", "1:2", "--keep", "middle"], {"middle": 2}, 0),
        (["--crop", "bucket@sdxl", "--keep", "middle"], {"middle": 2}, 0),
    ],
)
def test_many_are_cut_to_a_shape_around_what_is_asked_for(studio, dataset, options, around, left):
    code, value = studio("dataset", "edit", dataset, *options)
    assert code == 0 and value["around"] == around and len(value["left"]) == left and len(value["edited"]) == 2 - left


def test_a_way_to_keep_that_there_is_not_is_refused(studio, dataset):
    code, value = studio("dataset", "edit", dataset, "--crop", "1:1", "--keep", "nose")
    assert code == 2 and "subject, face or middle" in value["error"]


def test_where_none_can_be_cut_the_reason_is_told(studio, dataset):
    code, value = studio("dataset", "edit", dataset, "thing.png", "--crop", "1:1", "--keep", "face")
    assert code == 2 and "No face was found" in value["error"]
