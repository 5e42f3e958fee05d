"""Drawings are told from photographs, also when they were saved as JPEG: of these the bundled captioner guesses."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from backends.captioners.flatness import looks_drawn, measure_flatness
from tests.studio.datasets.drawing import draw_figure, draw_photo

SAMPLES = Path(__file__).resolve().parents[3] / "assets" / "samples"


@pytest.mark.parametrize("folder", ["zog", "glorp", "wrong", "edits"])
@pytest.mark.parametrize("quality", [None, 75])
def test_sample_drawings_are_drawn(folder, quality):
    paths = sorted(p for p in (SAMPLES / folder).rglob("*") if p.suffix in (".png", ".webp", ".jpg"))[:24]
    assert len(paths) >= 12
    for path in paths:
        picture = Image.open(path).convert("RGB")
        if quality:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality)
            picture = Image.open(buffer)
        assert looks_drawn(picture), (path.name, measure_flatness(picture))


@pytest.mark.parametrize("side", [128, 1024])
def test_pictures_with_the_grain_of_photographs_are_not(side):
    assert not any(looks_drawn(draw_photo(n, side)) for n in range(8)) and all(looks_drawn(draw_figure(n, side)) for n in range(8))


@pytest.mark.parametrize(("size", "flat"), [((1, 1), 1.0), ((1, 900), 1.0), ((300, 2), 1.0)])
def test_a_plain_picture_of_any_shape_is_flat(size, flat):
    assert measure_flatness(Image.new("RGB", size, "teal")) == flat
