"""Bars, marks, darkness and bare pictures that were put in are found; good pictures are not called so (docs/data.md)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from studio.datasets.checks import check_dataset
from studio.datasets.corners import PLACES, find_marks
from studio.datasets.measure import Measures, measure_picture
from studio.datasets.samples import SAMPLES
from tests.studio.datasets.drawing import draw_figure, draw_photo, encode
from tests.studio.datasets.faults import darken, with_bars, with_mark

SIDE, CLEAN, FAULTY = 256, 60, 20
DRAWS = pytest.mark.parametrize("draw", [draw_figure, draw_photo], ids=["drawings", "photos"])


def with_words(number):
    """A white page with one line; a smaller one is of one colour, which another rule tells."""
    page = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(page).text((10, 10 + 8 * number), f"No. {number}", fill=(90, 60, 160), font=ImageFont.load_default(48 + number % 5))
    return page


@DRAWS
def test_twenty_of_each_fault_are_found_and_no_good_picture_is_called_so(store, dataset, drop, draw):
    put = {"bars": set(), "watermark": set(), "dark": set(), "bare": set()}
    for n in range(CLEAN + 3 * FAULTY):
        image, kind = draw(n, SIDE), ("bars", "watermark", "dark")[n % 3] if n >= CLEAN else ""
        if kind == "bars":
            image = with_bars(image, n // 3)
        elif kind == "watermark":
            image = with_mark(image)
        elif kind == "dark":
            image = darken(image)
        drop(f"{n}.png", encode(image, "JPEG", quality=85))
        if kind:
            put[kind].add(f"{n}.png")
    for n in range(FAULTY):
        drop(f"page{n}.png", encode(with_words(n)))
        put["bare"].add(f"page{n}.png")
    names = {row.id: row.name for row in store.pictures(dataset)}
    found = {code: set() for code in put}
    for finding in check_dataset(store, dataset).findings:
        if finding.code == "bars":  # one click opens the worst of them to be cropped
            assert finding.action.kind == "crop" and names[finding.action.picture_ids[0]] in put["bars"]
        if finding.code in found:
            found[finding.code] |= {names[i] for i in finding.picture_ids}
    missed = {code: sorted(put[code] - found[code]) for code in put}
    alarms = {code: sorted(found[code] - put[code]) for code in put}
    assert (missed, alarms) == ({code: [] for code in put}, {code: [] for code in put})


@DRAWS
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("marked", [6, 60])
def test_a_mark_is_found_in_every_corner_in_few_and_in_all(draw, place, marked):
    corners = [measure_picture(with_mark(draw(n, 192), place, 200) if n < marked else draw(n, 192)).corners for n in range(60)]
    assert [(m.place, m.positions) for m in find_marks(corners)] == [(PLACES[place], list(range(marked)))]


SHAPES = ((192, 128), (192, 144), (128, 192), (192, 108), (192, 192))


@DRAWS
@pytest.mark.parametrize("size", [None, 11], ids=["as wide as the picture asks", "of the same pixels"])
def test_a_mark_is_found_in_pictures_of_many_shapes(draw, size):
    pictures = [ImageOps.fit(draw(n, 192), SHAPES[n % len(SHAPES)]) for n in range(60)]
    assert find_marks([measure_picture(image).corners for image in pictures]) == []
    marked = [
        measure_picture(with_mark(image, alpha=220, text="© Studio" if size else "© Photo Studio", size=size)).corners for image in pictures
    ]
    (mark,) = find_marks(marked)
    assert mark.place == "bottom right" and len(mark.positions) >= 57


def test_pictures_of_one_unmoved_scene_have_no_mark():
    scene, rng = draw_photo(1, 192), np.random.default_rng(0)
    shots = []
    for n in range(12):
        shot = scene.copy()
        shot.paste(draw_figure(n, 90), tuple(int(v) for v in rng.integers(45, 60, 2)))
        shots.append(measure_picture(shot).corners)
    assert find_marks(shots) == []


@pytest.mark.parametrize("folder", ["zog", "zog_held_out", "glorp", "glorp_held_out", "edits", "edits_held_out"])
def test_none_of_the_sample_pictures_is_called_so(folder):
    paths = sorted(p for p in (SAMPLES / folder).rglob("*") if p.suffix in (".png", ".webp", ".jpg"))[:300]
    measures = [measure_picture(Image.open(path).convert("RGB")) for path in paths]
    assert len(measures) >= 12 and find_marks([m.corners for m in measures]) == []
    assert max(max(m.bars) for m in measures) < 0.04 and min(m.brightest for m in measures) > 82 and min(m.entropy for m in measures) > 0.5


def test_measures_come_back_from_their_bytes_as_they_were():
    for image in (draw_photo(1, 100), with_bars(draw_figure(2, 120), 1), Image.new("RGB", (3, 900), "red")):
        measures = measure_picture(image)
        assert Measures.from_bytes(measures.to_bytes()) == measures and len(measures.to_bytes()) == 928


def test_fewer_than_five_pictures_cannot_share_a_mark():
    assert find_marks([measure_picture(with_mark(draw_photo(n, 128))).corners for n in range(4)]) == []
