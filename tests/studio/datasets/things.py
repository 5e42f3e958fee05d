"""Things of known outlines before grounds of several kinds, for what finds subjects; and a photograph of a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.studio.datasets.drawing import draw_photo

GROUNDS = ("flat", "gradient", "texture", "busy")  # the last one has all colours, the thing's too
PORTRAIT = Path(__file__).parent / "collins.jpg"  # 256 px; NOTICE says whose it is
FACE = (86, 30, 53, 53)  # left, top, width and height in px, from between brow and hair to the chin


def open_portrait() -> Image.Image:
    """Eileen Collins, from the front, before a flag and a model of the Shuttle."""
    return Image.open(PORTRAIT).convert("RGB")


def draw_thing(seed: int, ground: str, size: tuple[int, int] = (320, 240)) -> tuple[Image.Image, np.ndarray]:
    """A thing of two or three colours, and where it is: True inside its outline."""
    rng = np.random.default_rng(seed)
    width, height = size
    hue = int(rng.integers(0, 255))
    picture = _draw_ground(rng, ground, size, hue)
    outline = Image.new("L", size)
    pen = ImageDraw.Draw(outline)
    side = int(min(size) * rng.uniform(0.38, 0.62))
    x, y = (int(rng.integers(whole // 14, whole - whole // 14 - side)) for whole in size)
    kind = seed % 3
    if kind == 0:
        pen.ellipse((x, y, x + side, y + side), 255)
    elif kind == 1:
        pen.polygon(
            [(x + side // 2, y), (x + side, y + side // 2), (x + side * 3 // 4, y + side), (x + side // 4, y + side), (x, y + side // 2)],
            255,
        )
    else:
        pen.rounded_rectangle((x, y + side // 5, x + side, y + side), side // 8, 255)
        pen.ellipse((x + side // 4, y, x + side * 3 // 4, y + side // 2), 255)
    paint = Image.new("RGB", size, _colour((hue + int(rng.integers(90, 165))) % 255, 190, int(rng.integers(120, 220))))
    marks = ImageDraw.Draw(paint)
    marks.ellipse((x + side // 3, y + side // 3, x + side // 2, y + side // 2), "white")
    marks.rectangle((x, y + side * 3 // 4, x + side, y + side), _colour((hue + int(rng.integers(90, 165))) % 255, 230, 160))
    picture.paste(paint, mask=outline)
    grain = rng.normal(0, 3, (height, width, 3))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)), np.float32) + grain
    return Image.fromarray(soft.clip(0, 255).astype(np.uint8)), np.asarray(outline) > 127


def _colour(hue: int, saturation: int, value: int) -> tuple[int, ...]:
    return tuple(Image.new("HSV", (1, 1), (hue, saturation, value)).convert("RGB").getpixel((0, 0)))


def _draw_ground(rng: np.random.Generator, ground: str, size: tuple[int, int], hue: int) -> Image.Image:
    width, height = size
    base = np.array(_colour(hue, int(rng.integers(60, 200)), int(rng.integers(70, 230))), np.float32)
    if ground == "flat":
        return Image.new("RGB", size, tuple(int(v) for v in base))
    if ground == "gradient":
        slope = np.linspace(0.6, 1.3, width)[None, :, None] * np.linspace(1.1, 0.8, height)[:, None, None]
        return Image.fromarray((base * slope).clip(0, 255).astype(np.uint8))
    photo = draw_photo(int(rng.integers(0, 10**6)), 320)
    if ground == "busy":
        return photo.resize(size)
    grey = np.asarray(photo.convert("L").resize(size), np.float32)[..., None] / 128
    return Image.fromarray((base * (0.45 + 0.55 * grey)).clip(0, 255).astype(np.uint8))


def compute_overlap(found: np.ndarray, true: np.ndarray) -> float:
    """What two areas have in common over what both cover, 0 to 1."""
    return float((found & true).sum() / max(1, (found | true).sum()))
