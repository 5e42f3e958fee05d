"""The sample pictures are what their drawing code draws, and are a good data set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from assets.build.colours import COLOURS
from assets.build.draw_samples import NUM_PICTURES, SAMPLES, SETS, draw_set

FILES = {name: sorted((SAMPLES / name).glob("*.png")) for name in SETS}


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.int16)


@pytest.mark.parametrize("name", SETS)
def test_every_picture_is_drawn_again_by_the_code_that_is_shipped(name):
    assert len(FILES[name]) == NUM_PICTURES
    for file, (picture, caption) in zip(FILES[name], draw_set(name), strict=True):
        with Image.open(file) as shipped:
            assert np.abs(pixels(shipped) - pixels(picture)).max() <= 1
        assert file.with_suffix(".txt").read_text("utf-8").strip() == caption


@pytest.mark.parametrize("name", SETS)
def test_the_background_is_the_colour_that_the_caption_names(name):
    for file in FILES[name]:
        with Image.open(file) as picture:
            corner = np.asarray(picture)[8, 8]
        distance = {colour: np.abs(np.subtract(corner.astype(int), rgb)).sum() for colour, rgb in COLOURS.items()}
        assert f" {min(distance, key=distance.get)} background" in file.with_suffix(".txt").read_text("utf-8")


def test_a_training_set_and_its_held_out_set_share_no_picture():
    for name in ("zog", "glorp"):
        small = [pixels(Image.open(f).resize((32, 32))) for f in FILES[name] + FILES[f"{name}_held_out"]]
        assert all(np.abs(a - b).mean() > 2 for a, b in itertools.combinations(small, 2))


def test_all_sets_together_stay_under_5_mib():
    assert sum(f.stat().st_size for f in SAMPLES.rglob("*") if f.is_file()) < 5 * 2**20
