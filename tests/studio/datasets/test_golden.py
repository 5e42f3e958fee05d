"""Good files of every kind are taken with the colours and words they have, bad ones of every kind are refused: 0 of 300 otherwise."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image, features

from backends.contract.errors import DarkroomError
from studio.datasets.caption_files import read_caption
from studio.datasets.pictures import PictureRefused, decode_picture
from tests.studio.datasets.drawing import RED, build_display_p3, draw_corners, draw_figure, encode, forge_png, read_corners
from tests.studio.datasets.test_pictures import STORED, STRANGERS, UPRIGHT, near

GREY = [(v, v, v) for v in (76, 150, 29, 226)]  # the same corners by their brightness (ITU-R 601)
SIZES = [(60, 40), (40, 60), (33, 17), (64, 64), (200, 20)]
EXACT = {"JPEG": {"quality": 97, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 97, "subsampling": "4:4:4"}}
KINDS = ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", *(["AVIF"] if features.check("avif") else [])]
MODES = {
    "PNG": ("RGB", "RGBA", "P", "L", "LA", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "P", "L"),
    "TIFF": ("RGB", "RGBA", "P", "L", "CMYK", "LZW", "JPEG"),
    "GIF": ("RGB", "P", "L"),
    "AVIF": ("RGB", "RGBA"),
}


def in_mode(image: Image.Image, mode: str) -> tuple[Image.Image, list[tuple[int, ...]], dict[str, object]]:
    """The picture stored otherwise, the corners that are to be seen, and how it is written."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), GREY, {}
    if mode in ("LZW", "JPEG"):
        return image, UPRIGHT, {"compression": "tiff_lzw"} if mode == "LZW" else {"compression": "jpeg", "quality": 97}
    if mode == "CMYK":
        return image.convert("CMYK"), UPRIGHT, {}
    return image.convert(mode), GREY if mode in ("L", "LA") else UPRIGHT, {}


def good_pictures():
    for kind in KINDS:
        for mode, size in itertools.product(MODES[kind], SIZES):
            stored, corners, options = in_mode(draw_corners(*size), mode)
            yield f"{kind} {mode} {size}", encode(stored, kind, **EXACT.get(kind, {}) | options), corners, mode == "CMYK"
    for kind, (value, turn), size in itertools.product(("JPEG", "PNG", "WEBP", "TIFF"), STORED.items(), SIZES[:3]):
        stored = draw_corners(*size) if turn is None else draw_corners(*size).transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = value
        yield f"{kind} turned {value} {size}", encode(stored, kind, exif=exif, **EXACT.get(kind, {})), UPRIGHT, False
    for kind, frames, size in itertools.product(("GIF", "WEBP", "PNG", "TIFF"), (2, 3, 9), SIZES[:3]):
        options = {"save_all": True, "append_images": [Image.new("RGB", size, RED)] * (frames - 1)} | EXACT.get(kind, {})
        yield f"{kind} of {frames} {size}", encode(draw_corners(*size), kind, **options), UPRIGHT, False
    for kind, profile, size in itertools.product(("PNG", "JPEG", "TIFF", "WEBP"), (b"broken", build_display_p3()), SIZES[:3]):
        yield f"{kind} profile {size}", encode(draw_corners(*size), kind, icc_profile=profile, **EXACT.get(kind, {})), UPRIGHT, True
    for kind, options, size in itertools.product(
        ("PNG",), ({"compress_level": 0}, {"compress_level": 9}, {"optimize": True}, {"dpi": (300, 300)}), SIZES
    ):
        yield f"{kind} {options} {size}", encode(draw_corners(*size), kind, **options), UPRIGHT, False
    ways = ({"progressive": True}, {"optimize": True}, {"subsampling": 2}, {"restart_marker_blocks": 2})
    for options, size in itertools.product(ways, SIZES[:4]):
        yield f"JPEG {options} {size}", encode(draw_corners(*size), "JPEG", **EXACT["JPEG"] | options), UPRIGHT, "subsampling" in options


def bad_pictures():
    for kind, part, seed in itertools.product(KINDS, (0.02, 0.1, 0.25, 0.4, 0.6, 0.75, 0.85, 0.93), range(4)):
        data = encode(draw_figure(seed, 64), kind)
        yield f"{kind} cut at {part}", data[: int(len(data) * part)]
    for name, (data, _) in STRANGERS.items():
        yield name, data
    rng = np.random.default_rng(0)
    for size in (1, 7, 40, 1000, 70_000):
        for _ in range(6):
            yield f"{size} bytes of noise", rng.bytes(size)
    for width, height in ((20_000, 20_000), (8000, 6251), (1, 60_000_000), (100_000, 100_000), (0, 10)):
        yield f"a header of {width} x {height}", forge_png(width, height)
    for mode, kind in (("F", "TIFF"), ("I", "TIFF")):
        yield f"{mode} pixels", encode(Image.fromarray(np.full((8, 8), 1 << 20, np.float32 if mode == "F" else np.int32)), kind)
    for kind, seed in itertools.product(("PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP"), range(6)):
        data = bytearray(encode(draw_figure(seed, 64), kind))
        data[: 16 + 2 * seed] = bytes(16 + 2 * seed)  # the beginning was lost
        yield f"{kind} without its beginning", bytes(data)


def test_no_good_picture_of_three_hundred_is_refused_or_changed():
    cases, wrong = list(good_pictures()), []
    for name, data, corners, is_rough in cases:
        try:
            found = read_corners(decode_picture(data).image)
        except PictureRefused as refusal:
            wrong.append(f"{name}: {refusal.text}")
            continue
        if not all(near(a, b, 90 if is_rough else 12) for a, b in zip(found, corners, strict=True)):
            wrong.append(f"{name}: {found}")
    assert len(cases) >= 300
    assert not wrong, wrong


def test_no_bad_picture_of_three_hundred_is_taken():
    cases, taken = list(bad_pictures()), []
    for name, data in cases:
        try:
            decode_picture(data)
        except PictureRefused as refusal:
            assert refusal.text.endswith(".") and refusal.text[0].isupper()
        else:
            taken.append(name)
    assert len(cases) >= 300
    assert taken == []


WORDS = ["zog on a red wall", "naïve café, “quoted”", "ein Bär, größer", "a — dash", "trailing   spaces  ", "", "été", "½ price €5"]
WORDS.append("x" * 2000)  # as long as a caption may be
BEYOND = ["猫と犬", "кот на стене", "🦊 in snow", "قطة"]  # what no encoding of one byte holds
ENDS = ["", "\n", "\r\n", "\n\n", "\0", "\ufeff", "\x07"]


def good_captions():
    for text, end in itertools.product(WORDS + BEYOND, ENDS):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            yield f"{encoding} {text[:20]!r} {end!r}", (text + end).encode(encoding), text
    for text in WORDS[:5] + BEYOND[2:3]:
        for encoding in ("utf-16-le", "utf-16-be") if text.isascii() else ():
            yield f"bare {encoding} {text!r}", text.encode(encoding), text
    for text, end in itertools.product([w for w in WORDS if w], ("", "\n", "\r\n")):
        yield f"cp1252 {text[:20]!r} {end!r}", (text + end).encode("cp1252"), text


def bad_captions():
    for length, letter, encoding in itertools.product(range(2001, 2041, 2), "aé猫", ("utf-8", "utf-8-sig", "utf-16")):
        yield (letter * length).encode(encoding)
    for length in range(64_001, 64_001 + 5 * 40, 5):
        yield b"word " * (length // 5 + 1)
    for length in range(2001, 2101):
        yield ("a b " * length).encode()


def test_no_good_caption_of_three_hundred_is_refused_or_changed(tmp_path):
    path, cases, wrong = tmp_path / "caption.txt", list(good_captions()), []
    for name, data, text in cases:
        path.write_bytes(data)
        try:
            found = read_caption(path)
        except DarkroomError as refusal:
            found = refusal.text
        if found != " ".join(text.split()):
            wrong.append(f"{name}: {found[:60]!r}")
    assert len(cases) >= 300
    assert not wrong, wrong


def test_no_bad_caption_of_three_hundred_is_taken(tmp_path):
    path, cases, taken = tmp_path / "caption.txt", list(bad_captions()), []
    for number, data in enumerate(cases):
        path.write_bytes(data)
        try:
            read_caption(path)
        except DarkroomError as refusal:
            assert "Shorten it." in refusal.text
        else:
            taken.append(number)
    assert len(cases) >= 300
    assert taken == []
