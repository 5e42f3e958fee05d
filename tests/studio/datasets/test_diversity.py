"""The map: alike lies together, nothing hides anything, the same every time; and the number says how varied they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from studio.datasets.checks import check_dataset
from studio.datasets.dataset_map import describe_map, map_dataset
from studio.datasets.diversity import HEIGHT, WIDTH, compute_map
from studio.datasets.edit_pictures import exclude_pictures
from studio.datasets.measure import measure_picture
from tests.studio.datasets.drawing import draw_figure, draw_photo, encode

FAMILIES, EACH = 6, 12


@pytest.fixture(scope="module")
def families():
    """Six families of twelve pictures: shades of one drawing each, mixed."""
    made = []
    for n in range(EACH):
        for k in range(FAMILIES):
            made.append(measure_picture(Image.blend(draw_figure(500 + k, 96), draw_figure(600 + 20 * k + n, 96), 0.15)))
    return made


def test_the_nearest_on_the_map_are_of_the_own_family(families):
    points = compute_map(families).points
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 99 * np.eye(len(points))
    nearest = apart.argsort(axis=1)[:, :4] % FAMILIES
    own = nearest == (np.arange(len(points)) % FAMILIES)[:, None]
    assert own.mean() > 0.85  # by chance: 0.15


def test_it_is_the_same_every_time_and_everything_is_on_it(families):
    first, again = compute_map(families), compute_map(families)
    assert np.array_equal(first.points, again.points) and first.varied == again.varied
    half = first.side / 2 - 1e-9
    assert (first.points >= half).all() and (first.points <= np.array([WIDTH, HEIGHT]) - half).all()


def test_hardly_any_picture_hides_another(families):
    found = compute_map(families + [measure_picture(draw_photo(n, 96)) for n in range(80)])
    gaps = np.abs(found.points[:, None] - found.points[None]).max(-1) + 99 * np.eye(len(found.points))
    hidden = (gaps.min(axis=1) < 0.5 * found.side).mean()
    assert hidden < 0.02


def test_the_number_tells_copies_families_and_strangers_apart(families):
    one = measure_picture(draw_photo(1, 96))
    strangers = [measure_picture(draw_figure(n, 96)) for n in range(24)]
    assert compute_map([one] * 24).varied == pytest.approx(1, abs=1e-6)
    assert 4 < compute_map(families).varied < 12
    assert 18 < compute_map(strangers).varied <= 24


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 7])
def test_few_pictures_have_a_map_too(count):
    found = compute_map([measure_picture(draw_figure(n, 64)) for n in range(count)])
    assert found.points.shape == (count, 2) and np.isfinite(found.points).all()


def test_pictures_in_one_place_part():
    points = compute_map([measure_picture(draw_figure(1, 64))] * 9).points
    gaps = np.abs(points[:, None] - points[None]).max(-1) + 99 * np.eye(9)
    assert gaps.min() > 0.5


def test_of_many_rows_some_are_drawn_and_always_the_same(store, dataset, drop):
    for n in range(12):
        drop(f"{n}.png", encode(draw_figure(n, 64)))
    check_dataset(store, dataset)
    some = map_dataset(store, dataset, 5)
    assert set(some.places) == set(sorted(row.id for row in store.pictures(dataset))[:5]) and some.total == 12
    assert map_dataset(store, dataset, 5) == some and "5 of 12 pictures" in describe_map(some, "picture")
    assert "All 12 pictures" in describe_map(map_dataset(store, dataset), "picture")
    for path in store.workspace.cache.glob("measures_v*"):  # as another version of Darkroom finds it
        path.unlink()
    none = map_dataset(store, dataset)
    assert not none.places and "at the next check" in describe_map(none, "picture")
    check_dataset(store, dataset)
    first, second, *_ = some.places
    exclude_pictures(store, dataset, [second], excluded=True)
    assert second not in map_dataset(store, dataset).places and map_dataset(store, dataset).total == 11
    store.remove(dataset, [first])
    assert set(map_dataset(store, dataset, 5).places) != set(some.places)
