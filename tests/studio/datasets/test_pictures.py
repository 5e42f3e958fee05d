"""Golden pixels for every kind of picture, and a plain refusal for everything else."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat, features

from studio.datasets.pictures import PictureRefused, decode_picture
from tests.studio.datasets.drawing import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    build_display_p3,
    draw_corners,
    draw_figure,
    encode,
    encode_with_orientation,
    forge_png,
    read_corners,
)

UPRIGHT = [RED, GREEN, BLUE, YELLOW]
# How a camera stores the upright picture for each value of the EXIF orientation.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def near(a: tuple[int, ...], b: tuple[int, ...], within: int = 6) -> bool:
    return all(abs(x - y) <= within for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_comes_out_upright(orientation):
    turn = STORED[orientation]
    stored = draw_corners() if turn is None else draw_corners().transpose(turn)
    image = decode_picture(encode_with_orientation(stored, orientation)).image
    assert image.size == (60, 40)
    assert all(near(a, b) for a, b in zip(read_corners(image), UPRIGHT, strict=True))


@pytest.mark.parametrize(
    ("kind", "suffix"), [("PNG", "png"), ("BMP", "bmp"), ("TIFF", "tif"), ("WEBP", "webp"), ("GIF", "gif"), ("JPEG", "jpg")]
)
def test_each_kind_keeps_its_colours_and_tells_its_true_suffix(kind, suffix):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    decoded = decode_picture(encode(draw_corners(), kind, **options))
    assert decoded.suffix == suffix and decoded.image.mode == "RGB"
    assert all(near(a, b) for a, b in zip(read_corners(decoded.image), UPRIGHT, strict=True))


def test_transparent_parts_become_white_and_half_transparent_ones_half():
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    decoded = decode_picture(encode(image))
    assert [decoded.image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    assert near(decoded.image.getpixel((2, 0)), (127, 127, 127), 1)
    assert decoded.notes == ["Its transparent parts are now white."]


def test_grey_with_alpha_comes_over_white():
    image = Image.new("LA", (2, 1), (0, 255))
    image.putpixel((1, 0), (0, 0))
    decoded = decode_picture(encode(image)).image
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


def test_a_palette_with_a_transparent_entry_keeps_colours_and_loses_the_hole():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 200, 30, 250, 0, 0])
    image.putpixel((1, 0), 1)
    decoded = decode_picture(encode(image, "PNG", transparency=1)).image
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(10, 200, 30), (255, 255, 255)]


def test_a_picture_of_black_and_white_bits_is_decoded():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert [decode_picture(encode(image)).image.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    decoded = decode_picture(encode(Image.fromarray(values))).image
    assert [decoded.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 128, 255]


def test_floating_point_pixels_are_refused_with_a_way_out():
    with pytest.raises(PictureRefused, match="8 or 16 bits"):
        decode_picture(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


def test_cmyk_comes_out_as_the_colours_it_prints():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = decode_picture(encode(cmyk, "TIFF")).image.getpixel((3, 3))
    assert red[0] > 200 and red[1] < 60 and red[2] < 60
    assert near(decode_picture(encode(cmyk, "JPEG", quality=95)).image.getpixel((3, 3)), red)


def test_display_p3_is_brought_to_srgb():
    image = Image.new("RGB", (4, 4), (200, 100, 100))
    plain = decode_picture(encode(image)).image.getpixel((1, 1))
    wide = decode_picture(encode(image, "PNG", icc_profile=build_display_p3()))
    assert plain == (200, 100, 100) and wide.notes == []
    red, green, _ = wide.image.getpixel((1, 1))
    assert red > 205 and green < 98  # the same numbers mean a stronger red in P3


def test_greys_of_a_wide_profile_stay_grey():
    image = Image.new("RGB", (4, 4), (128, 128, 128))
    pixel = decode_picture(encode(image, "PNG", icc_profile=build_display_p3())).image.getpixel((0, 0))
    assert max(pixel) - min(pixel) <= 1 and abs(pixel[0] - 128) <= 2


def test_a_broken_profile_costs_a_note_and_not_the_picture():
    decoded = decode_picture(encode(draw_corners(), "PNG", icc_profile=b"no profile at all"))
    assert read_corners(decoded.image) == UPRIGHT and "profile" in decoded.notes[0]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken_and_told(kind):
    frames = [Image.new("RGB", (8, 8), c) for c in (RED, GREEN, BLUE)]
    decoded = decode_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert near(decoded.image.getpixel((3, 3)), RED, 3) and "first of its 3 frames" in decoded.notes[0]


@pytest.mark.parametrize("size", [(1, 1), (200, 20), (20, 200)])
def test_tiny_and_long_pictures_are_decoded(size):
    assert decode_picture(encode(Image.new("RGB", size, RED))).image.size == size


def test_no_metadata_comes_along():
    image = decode_picture(encode_with_orientation(draw_corners(), 1)).image
    assert image.info == {} and not image.getexif()


def test_twenty_thousand_pixels_squared_in_few_bytes_are_refused_from_the_header():
    bomb = forge_png(20_000, 20_000)
    assert len(bomb) < 50_000
    tracemalloc.start()
    with pytest.raises(PictureRefused, match="400 megapixels; at most 50"):
        decode_picture(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_just_above_fifty_megapixels_is_refused_with_its_size():
    with pytest.raises(PictureRefused, match="8,000 x 6,251 px"):
        decode_picture(forge_png(8000, 6251))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_picture_is_read():
    drawn = draw_figure(1, 64)
    decoded = decode_picture(encode(drawn, "AVIF"))
    assert (decoded.suffix, decoded.image.size, decoded.image.mode) == ("avif", drawn.size, "RGB")
    assert ImageStat.Stat(ImageChops.difference(decoded.image, drawn.convert("RGB"))).mean < [6.0] * 3


def test_a_heic_photo_is_read_where_the_library_is_there():
    pytest.importorskip("pillow_heif")
    drawn = draw_figure(1, 64)
    assert decode_picture(encode(drawn, "HEIF")).image.size == drawn.size


STRANGERS = {
    "svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "html": (b"<!DOCTYPE html><html><script>1</script></html>", "web page"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "psd": (b"8BPS\0\1" + bytes(60), "Photoshop"),
    "fits": (b"SIMPLE  =                    T" + bytes(200), "FITS"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "heic": (struct.pack(">I", 24) + b"ftypheic" + bytes(30), "HEIC"),
    "zip": (b"PK\3\4" + bytes(40), "ZIP"),
    "text": (b"hello, I am a picture", "not a picture"),
    "zeros": (bytes(5000), "only zeros"),
    "empty": (b"", "empty"),
    "icns": (b"icns" + bytes(100), "not a picture"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_refused_by_name_with_a_way_out(name):
    data, said = STRANGERS[name]
    with pytest.raises(PictureRefused, match=said) as refusal:
        decode_picture(data)
    assert any(way in refusal.value.text for way in ("Save it", "Copy it"))


AVIF = ["AVIF"] if features.check("avif") else []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", *AVIF])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_file_that_ends_in_the_middle_is_refused(kind, share):
    data = encode(draw_figure(1), kind)
    with pytest.raises(PictureRefused):
        decode_picture(data[: int(len(data) * share)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", *AVIF]),
    hits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(0, 2000),
)
def test_a_mutant_is_a_picture_or_a_refusal_and_never_anything_else(kind, hits, cut):
    data = bytearray(encode(draw_corners(), kind))
    for at, value in hits:
        data[at % len(data)] = value
    try:
        image = decode_picture(bytes(data[: len(data) - cut % len(data)])).image
    except PictureRefused:
        return
    assert image.mode == "RGB" and image.width * image.height <= 50_000_000
    image.save(io.BytesIO(), "PNG")
