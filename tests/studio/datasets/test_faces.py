"""Faces: found where one is, kept in the cache, and not called where none is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from studio.datasets.faces import find_faces, read_faces, write_faces
from studio.datasets.opencv import load_opencv
from studio.datasets.samples import SAMPLES
from tests.studio.datasets.drawing import draw_figure, draw_photo
from tests.studio.datasets.things import FACE, GROUNDS, draw_thing, open_portrait

pytest.importorskip("cv2")


def near(found, wanted, slack):
    return all(abs(a - b) <= slack for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("factor", [1, 1.5, 4])
def test_the_one_face_of_a_portrait_is_found_in_px_of_the_picture_however_large_it_is(factor):
    picture = open_portrait()
    (face,) = find_faces(picture.resize((round(256 * factor), round(256 * factor))))
    assert near(face, [v * factor for v in FACE], 8 * factor)


@pytest.mark.parametrize("change", [ImageOps.mirror, lambda p: ImageEnhance.Brightness(p).enhance(0.5), lambda p: p.rotate(8)])
def test_it_is_found_mirrored_in_half_the_light_and_held_askew(change):
    assert len(find_faces(change(open_portrait()))) == 1


def test_of_several_faces_each_is_found_and_the_largest_comes_first():
    sheet = Image.new("RGB", (560, 320), (120, 130, 140))
    sheet.paste(open_portrait(), (0, 30))
    sheet.paste(open_portrait().resize((304, 304)), (256, 0))
    first, second = find_faces(sheet)
    assert first[0] > 256 > second[0] and first[2] > second[2]


def test_drawings_textures_and_things_have_none():
    pictures = [draw_figure(seed) for seed in range(8)] + [draw_photo(seed, 160) for seed in range(8)]
    pictures += [draw_thing(seed, ground)[0] for ground in GROUNDS for seed in range(1)] + [Image.new("RGB", (300, 200), "gray")]
    assert [find_faces(picture) for picture in pictures] == [[]] * len(pictures)


def test_the_figures_of_the_samples_have_none():
    files = [path for name in ("zog", "glorp") for path in sorted((SAMPLES / name).glob("*.png"))[:3]]
    assert len(files) == 6
    assert [find_faces(Image.open(path)) for path in files] == [[]] * 6


def test_what_was_found_is_kept_also_that_there_is_none(tmp_path):
    write_faces(tmp_path, {"a": [FACE], "b": []})
    assert read_faces(tmp_path, ["a", "b", "c"]) == {"a": [FACE], "b": []}
    (tmp_path / "faces_v1.sqlite").write_bytes(b"no table at all" * 100)
    assert read_faces(tmp_path, ["a"]) == {}
    write_faces(tmp_path, {"a": [FACE]})
    assert read_faces(tmp_path, ["a"]) == {"a": [FACE]}


def test_opencv_is_held_to_one_thread():
    assert load_opencv().getNumThreads() == 1


def test_a_picture_of_one_pixel_has_no_face():
    assert find_faces(Image.fromarray(np.zeros((1, 1, 3), np.uint8))) == []
