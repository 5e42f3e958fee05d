"""The part of a wanted shape that keeps the subject."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backends.contract.errors import DarkroomError
from studio.datasets.framing import find_frame, find_middle, find_part, find_subject


def draw_subject(size, at, side=90):
    """A ball with an eye before a soft gradient."""
    width, height = size
    ground = np.linspace(90, 150, width)[None, :, None].repeat(height, 0).repeat(3, 2)
    image = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((at[0], at[1], at[0] + side, at[1] + side), (20, 150, 140))
    draw.ellipse((at[0] + side // 3, at[1] + side // 4, at[0] + side // 2, at[1] + side // 2), "white")
    return image


@pytest.mark.parametrize("x", [0, 60, 155, 250, 310])
def test_a_square_of_a_wide_picture_holds_the_whole_subject(x):
    left, top, width, height = find_subject(draw_subject((400, 200), (x, 50)), 1.0)
    assert (top, width, height) == (0, 200, 200)
    assert left <= x and x + 90 <= left + width


@pytest.mark.parametrize("y", [0, 100, 310])
def test_of_a_tall_picture_too(y):
    left, top, width, height = find_subject(draw_subject((200, 400), (50, y)), 4 / 3)
    assert (left, width, height) == (0, 200, 150)
    assert top <= y and y + 90 <= top + height


def test_where_nothing_stands_out_the_middle_is_kept():
    assert find_subject(Image.new("RGB", (300, 100), "gray"), 1.0) == (100, 0, 100, 100)


def test_the_whole_picture_has_its_own_shape():
    assert find_subject(draw_subject((300, 200), (20, 20)), 1.5) == (0, 0, 300, 200)


@pytest.mark.parametrize("aspect", [0.01, 50.0])
def test_a_shape_that_no_picture_has_is_refused(aspect):
    with pytest.raises(DarkroomError, match="1 to 8"):
        find_subject(Image.new("RGB", (300, 300)), aspect)


def test_a_part_too_small_to_learn_from_is_refused():
    with pytest.raises(DarkroomError, match="at least 32 px"):
        find_subject(Image.new("RGB", (100, 100)), 5.0)


SIZE = (600, 400)


@pytest.mark.parametrize("aspect", [0.5, 0.75, 1.0, 2.0])
def test_a_frame_holds_the_whole_head_with_the_eyes_in_the_upper_third(aspect):
    face = (380, 120, 80, 80)
    frame = find_frame(SIZE, aspect, [face])
    left, top, width, height = frame.box
    assert (width, height) == find_part(SIZE, aspect) and (frame.around, frame.faces) == ("faces", 1)
    assert left <= face[0] - 12 and face[0] + 92 <= left + width and top <= face[1] - 32 and face[1] + 92 <= top + height
    eyes = (face[1] + 32 - top) / height
    assert eyes == pytest.approx(1 / 3, abs=0.01) or top in (0, SIZE[1] - height)


def test_all_faces_are_kept_where_they_fit_and_the_largest_where_they_do_not():
    faces = [(40, 100, 60, 60), (300, 100, 90, 90)]
    both = find_frame(SIZE, 1.0, faces)
    assert both.faces == 2 and both.box[0] <= 31 and both.box[0] + 400 >= 403
    one = find_frame(SIZE, 0.5, faces)
    assert one.faces == 1 and one.box[0] <= 287 and one.box[0] + 200 >= 403


def test_a_face_at_the_rim_or_larger_than_the_frame_leaves_the_frame_inside_the_picture():
    for faces in ([(0, 0, 50, 50)], [(550, 350, 50, 50)], [(100, 0, 400, 400)]):
        left, top, width, height = find_frame(SIZE, 0.5, faces).box
        assert left >= 0 and top >= 0 and left + width <= 600 and top + height <= 400
    assert find_frame(SIZE, 0.5, [(100, 0, 400, 400)]).box[0] == 200  # around its middle


def test_without_a_face_there_is_no_such_frame_and_the_middle_is_the_middle():
    assert find_frame(SIZE, 1.0, []) is None
    assert find_middle(SIZE, 1.0).box == (100, 0, 400, 400)
