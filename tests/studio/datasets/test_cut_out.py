"""Masks made without a hand: measured against outlines that are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.datasets.cut_out import make_auto_mask
from studio.datasets.faces import find_faces
from tests.studio.datasets.drawing import draw_photo
from tests.studio.datasets.things import FACE, compute_overlap, draw_thing, open_portrait

pytest.importorskip("cv2")
COUNT, MEAN, LEAST = 12, 0.93, 0.65


def measure(ground):
    """Overlap of the masks with the outlines: of these, of the boxes around the outlines, of the whole pictures."""
    masks, boxes, wholes = [], [], []
    for seed in range(COUNT):
        picture, outline = draw_thing(seed, ground)
        masks.append(compute_overlap(np.asarray(make_auto_mask(picture).mask) > 127, outline))
        box = np.zeros_like(outline)
        down, across = np.nonzero(outline)
        box[down.min() : down.max() + 1, across.min() : across.max() + 1] = True
        boxes.append(compute_overlap(box, outline))
        wholes.append(compute_overlap(np.ones_like(outline), outline))
    return masks, boxes, wholes


@pytest.mark.parametrize("ground", ["flat", "gradient", "texture"])
def test_masks_lie_on_the_things_where_boxes_around_them_would_fail(ground):
    masks, boxes, wholes = measure(ground)
    assert np.mean(masks) >= MEAN and min(masks) >= LEAST
    assert np.mean(boxes) < MEAN and np.mean(wholes) < MEAN


def test_before_a_ground_of_all_colours_masks_are_poor_which_the_documents_say():
    masks, _, wholes = measure("busy")
    assert np.mean(wholes) + 0.2 < np.mean(masks) < MEAN


def test_a_mask_is_grey_as_large_as_the_picture_soft_at_its_edge_and_the_same_each_time():
    picture, outline = draw_thing(4, "gradient", (900, 700))
    made, again = make_auto_mask(picture), make_auto_mask(picture)
    values = np.asarray(made.mask)
    assert made.mask.mode == "L" and made.mask.size == picture.size and values.tobytes() == np.asarray(again.mask).tobytes()
    assert 0.001 < ((values > 20) & (values < 235)).mean() < 0.06
    assert made.covered == pytest.approx(float(outline.mean()), abs=0.03)


def test_a_person_is_masked_from_the_hair_to_the_shoulders():
    picture = open_portrait()
    mask = np.asarray(make_auto_mask(picture, find_faces(picture)).mask) > 127
    left, top, width, height = FACE
    assert mask[top : top + height, left + 5 : left + width - 5].mean() > 0.97
    assert mask[200:250, 70:150].mean() > 0.9  # the suit
    assert mask[10:120, 170:250].mean() < 0.1  # the model of the Shuttle behind her
    assert mask[10:100, 0:40].mean() < 0.2  # the flag


@pytest.mark.parametrize(
    ("picture", "said"), [(Image.new("RGB", (300, 200), "gray"), "Nothing stands out"), (draw_photo(3, 16), "of the picture|stands out")]
)
def test_where_nothing_stands_out_there_is_no_mask(picture, said):
    made = make_auto_mask(picture)
    if made.mask is None:
        assert any(one in made.refusal for one in said.split("|"))
    else:
        assert 0.02 <= made.covered <= 0.92


def test_a_speck_is_left_without_and_its_share_is_told():
    picture = Image.new("RGB", (400, 300), (40, 90, 160))
    ImageDraw.Draw(picture).ellipse((200, 150, 246, 196), "orange")
    made = make_auto_mask(picture)
    assert made.mask is None and "nearly nothing" in made.refusal
