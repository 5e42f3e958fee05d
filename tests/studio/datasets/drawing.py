"""Pictures, ZIPs and colour profiles that the tests of this folder draw for themselves."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Four corners of different colours: any turn or mirror of a picture shows.
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def draw_corners(width: int = 60, height: int = 40) -> Image.Image:
    """Red top left, green top right, blue bottom left, yellow bottom right."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), RED)
    draw.rectangle((width // 2, 0, width, height // 2 - 1), GREEN)
    draw.rectangle((0, height // 2, width // 2 - 1, height), BLUE)
    draw.rectangle((width // 2, height // 2, width, height), YELLOW)
    return image


def read_corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Colours at top left, top right, bottom left, bottom right."""
    w, h = image.size
    return [image.getpixel(at) for at in ((2, 2), (w - 3, 2), (2, h - 3), (w - 3, h - 3))]


def draw_figure(seed: int, side: int = 256) -> Image.Image:
    """A drawing with sharp shapes on a flat background; another seed gives another one."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(40, 230, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.integers(0, side * 3 // 4, 2)
        w, h = rng.integers(side // 8, side // 2, 2)
        draw.ellipse((int(x), int(y), int(x + w), int(y + h)), tuple(int(v) for v in rng.integers(0, 255, 3)))
    return image


def draw_photo(seed: int, side: int = 256) -> Image.Image:
    """Texture of all scales with things before one another, as a photo has it; another copy each time."""
    return (_draw_small_photo if side <= 256 else _draw_photo)(seed, side).copy()


def _draw_photo(seed: int, side: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    image = _draw_texture(rng, side)
    for _ in range(4):
        mask = Image.new("L", (side, side))
        x, y = rng.integers(0, side // 2, 2)
        w, h = rng.integers(side // 6, side // 2, 2)
        ImageDraw.Draw(mask).ellipse((int(x), int(y), int(x + w), int(y + h)), 255)
        image.paste(_draw_texture(rng, side), mask=mask)
    return image


_draw_small_photo = lru_cache(maxsize=256)(_draw_photo)  # many tests draw the same ones: 15 ms each, and 50 MB at most for all


def _draw_texture(rng: np.random.Generator, side: int) -> Image.Image:
    total = np.zeros((side, side, 3), np.float32)
    for cells in (4, 8, 16, 32, 64, 128, side):
        layer = Image.fromarray(rng.integers(0, 255, (cells, cells, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(layer, np.float32) * (4 / cells) ** 0.5
    total = total - total.min() + rng.integers(0, 400, 3)
    return Image.fromarray((total / total.max() * 255).astype(np.uint8))


def blur(image: Image.Image, share: float = 0.01) -> Image.Image:
    """The picture out of focus by `share` of its longer side."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * share))


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture's file as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_with_orientation(image: Image.Image, orientation: int) -> bytes:
    """A JPEG whose EXIF says how it was held, with a place on earth beside it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.9)
    return encode(image, "JPEG", quality=95, exif=exif, subsampling=0)


def forge_png(width: int, height: int) -> bytes:
    """A PNG of any size in few bytes: the header tells the truth, the pixels are one run of zeros cut short."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(1 << 20), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def build_display_p3() -> bytes:
    """A small ICC profile (v2, matrix and gamma 2.2) with the primaries of Display P3, adapted to D50."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in (x, y, z)))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    name = b"P3 for tests\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(12 + 67 + (-(len(name) + 91)) % 4)
    tags = {
        b"desc": description,
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for key, data in tags.items():
        table += key + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02200000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">iii", round(0.9642 * 65536), 65536, round(0.8249 * 65536)) + bytes(48)
    return head[:128] + struct.pack(">I", len(tags)) + table + body


def write_zip(path: Path, entries: dict[str, bytes], **options: object) -> Path:
    """A ZIP with these entries, under exactly these names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = int(options.get("mode", 0o100644)) << 16
            archive.writestr(info, data)
    return path
