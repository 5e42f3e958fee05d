"""Pictures from drawings: a glyph on a plain background. Every picture that a model sees is made here."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from assets.build.colours import COLOURS, RGB

SIDE_PX = 128


@dataclass(frozen=True)
class Jitter:
    """How far a glyph may stray; all numbers are fractions of the picture's side, `mirror` a chance."""

    smallest: float = 0.82
    largest: float = 0.92
    shift: float = 0.025
    mirror: float = 0.5


def compose(glyph: Image.Image, colour: RGB, rng: Random, jitter: Jitter, side_px: int = SIDE_PX) -> Image.Image:
    """The RGBA glyph on a plain background, RGB, side_px square."""
    side = round(side_px * rng.uniform(jitter.smallest, jitter.largest))
    left, top = ((side_px - side) / 2 + rng.uniform(-jitter.shift, jitter.shift) * side_px for _ in range(2))
    scaled = glyph.resize((side, side), Image.Resampling.LANCZOS)
    if rng.random() < jitter.mirror:
        scaled = scaled.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = Image.new("RGB", (side_px, side_px), colour)
    picture.paste(scaled, (round(left), round(top)), scaled)
    return picture


def any_colour(rng: Random) -> RGB:
    """A colour that need not have a name."""
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def draw_shapes(rng: Random) -> Image.Image:
    """Random filled shapes, so that the VAE stays honest on drawings that are no emoji."""
    side = 2 * SIDE_PX
    picture = Image.new("RGB", (side, side), rng.choice(list(COLOURS.values())) if rng.random() < 0.6 else any_colour(rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(3, 8)):
        x, y = (rng.uniform(0, side) for _ in range(2))
        width, height = (rng.uniform(8, SIDE_PX) for _ in range(2))
        box, colour, kind = (x - width / 2, y - height / 2, x + width / 2, y + height / 2), any_colour(rng), rng.random()
        if kind < 0.55:
            draw.ellipse(box, fill=colour)
        elif kind < 0.75:
            draw.rectangle(box, fill=colour)
        elif kind < 0.9:
            draw.line((x, y, x + width - SIDE_PX / 2, y + height - SIDE_PX / 2), fill=colour, width=rng.randint(4, 14))
        else:
            draw.arc(box, rng.uniform(0, 180), rng.uniform(180, 360), fill=colour, width=rng.randint(4, 12))
    return picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def vary_drawing(glyph: Image.Image, rng: Random) -> Image.Image:
    """The glyph turned, recoloured or squeezed a little: another vendor paints the same thing differently."""
    if rng.random() < 0.5:
        glyph = glyph.rotate(rng.uniform(-14, 14), Image.Resampling.BICUBIC)
    if rng.random() < 0.6:
        pixels = np.asarray(glyph, np.float32) * [*(rng.uniform(0.8, 1.2) for _ in range(3)), 1.0]
        glyph = Image.fromarray(np.minimum(pixels, 255).astype(np.uint8))
    if rng.random() < 0.3:
        width, height = glyph.size
        factor = rng.uniform(0.8, 1)
        squeezed = glyph.resize((int(width * factor), height) if rng.random() < 0.5 else (width, int(height * factor)))
        glyph = Image.new("RGBA", (width, height))
        glyph.paste(squeezed, ((width - squeezed.width) // 2, (height - squeezed.height) // 2))
    return glyph


def soften(picture: Image.Image, rng: Random) -> Image.Image:
    """The picture slightly blurred, as generated ones are."""
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0) * picture.width / 96))


def to_tensor(pictures: list[Image.Image]) -> torch.Tensor:
    """Pictures as (n, 3, h, w) in -1 to 1, exactly as diffusers' image processor makes them."""
    return torch.from_numpy(np.stack([np.asarray(p, np.float32) for p in pictures])).permute(0, 3, 1, 2) / 127.5 - 1
