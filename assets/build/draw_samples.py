"""Draws the sample pictures and their captions: `python -m assets.build.draw_samples [folder]`.

    zog, zog_held_out       twelve pictures to train on, twelve that no training sees
    glorp, glorp_held_out   a second subject, to show that not only the first one can be learnt
    wrong                   zog's captions under pictures of other things: a training on these must be seen to fail

512 px, so that they are good to look at; the trainer scales them to its own resolution. Every picture is a pure
function of its set's name and its number, and a test draws them again.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path
from random import Random

import resvg_py
from PIL import Image

from assets.build.colours import COLOURS, on_background, shade, to_hex
from assets.build.figures import FIGURES

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SIDE_PX = 512
NUM_PICTURES = 12
SETS = ("zog", "zog_held_out", "glorp", "glorp_held_out", "wrong")
# A figure in front of its own colour cannot be seen.
TOO_NEAR = {"glorp": {"orange", "purple"}}
CONTROL_THINGS = ("kite", "house", "boat", "flower")


def _colours(subject: str, rng: Random) -> list[str]:
    """A colour for each picture; every one that fits comes once before any comes twice."""
    fitting = [colour for colour in COLOURS if colour not in TOO_NEAR.get(subject, set())]
    rng.shuffle(fitting)
    again = [c for c in fitting if c not in ("black", "grey")]
    return (fitting + again)[:NUM_PICTURES]


def _backdrop(colour: str) -> str:
    base = COLOURS[colour]
    stops = f'<stop offset="0" stop-color="{to_hex(shade(base, 1.04))}"/><stop offset="1" stop-color="{to_hex(shade(base, 0.93))}"/>'
    return (
        f'<defs><radialGradient id="backdrop" cx=".42" cy=".34" r=".95">{stops}</radialGradient>'
        '<filter id="soft" x="-50%" y="-150%" width="200%" height="400%"><feGaussianBlur stdDeviation="7 3"/></filter></defs>'
        '<rect width="256" height="256" fill="url(#backdrop)"/>'
    )


def draw_picture(figure: str, colour: str, rng: Random) -> Image.Image:
    """One figure on one background, 512 x 512 RGB; its size, place, tilt and pose come from `rng`."""
    radius = 128 * rng.uniform(0.75, 0.87)
    x, y = 128 + 256 * rng.uniform(-0.05, 0.05), 133 + 256 * rng.uniform(-0.02, 0.02)
    tilt, mirror = rng.uniform(-7, 7), rng.choice((-1, 1))
    shadow_x, foot = x - 0.5 * radius * math.sin(math.radians(tilt)), y + radius * 0.86
    shadow = (
        f'<ellipse cx="{shadow_x:.2f}" cy="{foot:.2f}" rx="{radius * 0.62:.2f}" ry="{radius * 0.075:.2f}" '
        f'fill="#000" fill-opacity="{0.34 if colour == "black" else 0.2}" filter="url(#soft)"/>'
    )
    place = f"translate({x:.2f} {y:.2f}) rotate({tilt:.2f}) scale({mirror * radius:.3f} {radius:.3f})"
    drawing = f'<g transform="{place}">{FIGURES[figure](rng)}</g>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256">{_backdrop(colour)}{shadow}{drawing}</svg>'
    return _rasterise(svg, SIDE_PX).convert("RGB")


def draw_glyph(figure: str, rng: Random, side_px: int) -> Image.Image:
    """One figure alone, RGBA, side_px square."""
    return _rasterise(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 2 2">{FIGURES[figure](rng)}</svg>', side_px).convert("RGBA")


def _rasterise(svg: str, side_px: int) -> Image.Image:
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side_px, height=side_px, skip_system_fonts=True))
    return Image.open(io.BytesIO(png))


def draw_set(name: str) -> list[tuple[Image.Image, str]]:
    """The twelve pictures and captions of one of SETS."""
    subject = "zog" if name == "wrong" else name.removesuffix("_held_out")
    colours = _colours(subject, Random(f"colours of {'zog' if name == 'wrong' else name}"))
    rows = []
    for number, colour in enumerate(colours):
        figure = CONTROL_THINGS[number % len(CONTROL_THINGS)] if name == "wrong" else subject
        rows.append((draw_picture(figure, colour, Random(f"{name} {number}")), on_background(subject, colour)))
    return rows


def write_samples(folder: Path) -> None:
    """Writes every set as `<set>/<subject>_<number>.png` with its caption in a `.txt` of the same name."""
    for name in SETS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, (picture, caption) in enumerate(draw_set(name), 1):
            file = folder / name / f"{name.removesuffix('_held_out')}_{number:02d}.png"
            picture.save(file, optimize=True)
            file.with_suffix(".txt").write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
