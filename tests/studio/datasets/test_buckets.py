"""The bucket preview: what the trainer would do, counted by the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.engine.pictures import list_buckets, place_item
from backends.methods.protocol import Item, Shown
from studio.datasets.buckets import count_buckets
from studio.datasets.checks import Target, find_target
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Edit
from tests.studio.datasets.drawing import draw_corners, encode

SIZES = [(256, 256), (300, 200), (200, 300), (90, 90), (640, 200), (256, 256)]


@pytest.fixture
def filled(store, dataset, drop):
    for number, size in enumerate(SIZES):
        drop(f"{number}.png", encode(draw_corners(*size)) if number < 5 else encode(draw_corners(*size).rotate(180)))
    return dataset


@pytest.mark.parametrize("square", [False, True])
def test_each_picture_comes_to_the_bucket_that_the_trainer_puts_it_in(store, filled, square):
    rows = store.pictures(filled)
    buckets = list_buckets(resolution=128, step=32, square=square)
    items = [Item(r.id, {"": Shown(r.content, store.path(filled, r.face), r.width, r.height)}, {}, False) for r in rows]
    wanted = {item.id: place_item(item, buckets)[""] for item in items}
    lines = count_buckets(store, filled, Target(128, 32), square=square, examples=10)
    found = {one.id: one.placement for line in lines for one in line.examples}
    assert found == wanted
    assert sum(line.count for line in lines) == len(rows)


def test_what_is_enlarged_cut_excluded_or_edited_is_counted(store, filled):
    rows = store.pictures(filled)
    lines = count_buckets(store, filled, find_target(None, "pocket-sdxl"))
    square = next(line for line in lines if line.width == line.height == 128)
    assert (square.count, square.enlarged, square.cut) == (3, 1, 0) and square.most_enlarged == pytest.approx(128 / 90)
    exclude_pictures(store, filled, [rows[3].id], excluded=True)
    edit_pictures(store, filled, {rows[1].id: Edit(crop=(0, 0, 64, 64))})
    square = next(line for line in count_buckets(store, filled, Target(128, 32)) if line.width == line.height == 128)
    assert (square.count, square.enlarged) == (3, 1) and square.most_enlarged == 2.0


def test_many_pictures_are_counted_by_one_query_of_their_sizes(store, dataset, drop):
    """Fifty thousand rows of a few sizes; asserted by what is fetched, not by a clock."""
    drop("one.png", encode(draw_corners(64, 64)))
    index = store.index(dataset)
    (one,) = index.rows()
    with index.change() as rows:
        for number in range(1, 5000):
            rows.add(replace(one, id=f"{number:024x}", name=f"{number}.png", width=64 + number % 7, height=64))
    assert len(index.count_sizes()) == 7
    lines = count_buckets(store, dataset, Target(128, 32), examples=3)
    assert sum(line.count for line in lines) == 5000
    assert all(len(line.examples) == 3 for line in lines)
