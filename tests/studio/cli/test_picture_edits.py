"""Edits, exclusion and the bucket preview by commands."""

from __future__ import annotations

import pytest
from PIL import Image

from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import draw_corners, draw_figure


@pytest.fixture
def dataset(studio, tmp_path):
    (tmp_path / "Mugs").mkdir()
    draw_corners(400, 200).save(tmp_path / "Mugs" / "corners.png")
    draw_figure(1, 128).save(tmp_path / "Mugs" / "figure.png")
    return studio("dataset", "import", tmp_path / "Mugs")[1]["dataset"]


def size_of(tmp_path, dataset, name):
    store = DatasetStore(open_workspace(tmp_path / "workspace"))
    row = store.index(dataset).named(name)
    with Image.open(store.path(dataset, row.face)) as image:
        return image.size


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--crop", "10,20,100,50"], (100, 50)),
        (["--crop", "0.25,0,0.5,1"], (200, 200)),
        (["--crop", "1:1"], (200, 200)),
        (["--crop", "1:2", "--rotate", "90"], (200, 400)),
        (["--rotate", "270"], (200, 400)),
        (["--mirror"], (400, 200)),
    ],
)
def test_a_picture_is_edited_undone_and_given_back_whole(studio, tmp_path, dataset, options, size):
    code, value = studio("dataset", "edit", dataset, "corners.png", *options)
    assert code == 0 and (value["edited"][0]["width"], value["edited"][0]["height"]) == size == size_of(tmp_path, dataset, "corners.png")
    assert studio("dataset", "undo", dataset, value["token"]) == (0, {"dataset": dataset, "rows": 1})
    assert size_of(tmp_path, dataset, "corners.png") == (400, 200)
    studio("dataset", "edit", dataset, "corners.png", *options)
    studio("dataset", "edit", dataset, "corners.png", "--crop", "whole")
    assert size_of(tmp_path, dataset, "corners.png") == (400, 200)


def test_all_pictures_are_brought_to_one_shape(studio, tmp_path, dataset):
    code, value = studio("dataset", "edit", dataset, "--crop", "1:1")
    assert code == 0 and [(e["width"], e["height"]) for e in value["edited"]] == [(200, 200), (128, 128)]
    _, told = studio("dataset", "buckets", dataset)
    assert [(b["width"], b["height"], b["count"]) for b in told["buckets"]] == [(128, 128, 2)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crop", "1,2,3"], "four numbers"),
        (["--crop", "square"], "a shape such as 3:4; bucket"),
        (["--crop", "300,0,200,200"], "400 x 200 px"),
        (["--rotate", "45"], "0, 90, 180 or 270"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_rule(studio, dataset, options, said):
    code, value = studio("dataset", "edit", dataset, "corners.png", *options)
    assert code == 2 and said in value["error"]


def test_pictures_are_excluded_by_name_and_the_rest_is_counted(studio, dataset):
    assert studio("dataset", "exclude", dataset, "figure.png")[1]["training"] == 1
    _, told = studio("dataset", "buckets", dataset, "--resolution", "256", "--center-crop")
    assert [(b["width"], b["count"], b["enlarged"]) for b in told["buckets"]] == [(256, 1, 1)]
    assert studio("dataset", "exclude", dataset, "figure.png", "--include")[1]["training"] == 2
    code, value = studio("dataset", "exclude", dataset, "nobody.png")
    assert code == 2 and "There is no picture “nobody.png”" in value["error"]


def test_the_preview_names_the_rule_of_a_wrong_resolution(studio, dataset):
    code, value = studio("dataset", "buckets", dataset, "--resolution", "250")
    assert code == 2 and "must be a multiple of 32" in value["error"]


def test_masks_come_from_transparency_or_a_file_and_go_again(studio, tmp_path, dataset):
    code, value = studio("dataset", "mask", dataset)
    assert code == 2 and "None of these pictures came with transparent parts" in value["error"]
    mask = Image.new("L", (400, 200))
    mask.paste(255, (0, 0, 100, 200))
    mask.save(tmp_path / "mask.png")
    code, value = studio("dataset", "mask", dataset, "corners.png", "--file", tmp_path / "mask.png")
    assert (code, value["pictures"]) == (0, 1)
    code, value = studio("dataset", "mask", dataset, "figure.png", "--file", tmp_path / "mask.png")
    assert code == 2 and "400 x 200 px" in value["error"]
    assert studio("dataset", "mask", dataset, "--remove")[1]["pictures"] == 1
    clear = draw_figure(2, 64).convert("RGBA")
    clear.putalpha(Image.new("L", (64, 64), 100))
    clear.save(tmp_path / "clear.png")
    studio("dataset", "import", tmp_path / "clear.png", "--into", dataset)
    assert studio("dataset", "mask", dataset)[1]["pictures"] == 1
