"""SVG of the figures in the sample pictures: Zog, Glorp, and four plain things for the control set.

Each function draws around the origin, inside -1 to 1, y downwards, and varies what a photographer would see vary.
Where a figure stands, how large and how tilted it is, is the picture's business (`draw_samples`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

TEAL_LIGHT, TEAL, TEAL_DARK, TEAL_DEEP = "#35b3ad", "#0a9a96", "#077f7d", "#055f64"
BELLY, WHITE, INK, YELLOW = "#7fd8ce", "#ffffff", "#16161c", "#f9cd2e"
ORANGE_LIGHT, ORANGE, ORANGE_DARK, PURPLE = "#f8a04a", "#ee8322", "#d66c12", "#6e32a0"

Figure = Callable[[Random], str]


def _ellipse(x: float, y: float, rx: float, ry: float, fill: str, more: str = "") -> str:
    return f'<ellipse cx="{x:.3f}" cy="{y:.3f}" rx="{rx:.3f}" ry="{ry:.3f}" fill="{fill}" {more}/>'


def _line(path: str, colour: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.3f}" stroke-linecap="round" stroke-linejoin="round"/>'


def _shading(name: str, light: str, middle: str, dark: str) -> str:
    stops = f'<stop offset="0" stop-color="{light}"/><stop offset=".55" stop-color="{middle}"/><stop offset="1" stop-color="{dark}"/>'
    return f'<radialGradient id="{name}" cx=".36" cy=".26" r=".85">{stops}</radialGradient>'


def zog(rng: Random) -> str:
    """A teal round fellow with one large eye, two antennae with yellow balls, a light belly, two feet and a smile."""
    parts = [f"<defs>{_shading('body', TEAL_LIGHT, TEAL, TEAL_DARK)}{_shading('ball', '#ffe37a', YELLOW, '#d99a10')}</defs>"]
    lean = rng.uniform(-0.07, 0.07)
    for side in (-1, 1):
        x, y = side * (0.35 + rng.uniform(-0.03, 0.04)) + lean, -0.88 + rng.uniform(-0.04, 0.04)
        parts.append(_line(f"M {side * 0.2:.3f} -0.42 Q {side * 0.2 + lean / 3:.3f} -0.62 {x:.3f} {y:.3f}", TEAL_DEEP, 0.1))
        parts.append(_ellipse(x, y, 0.128, 0.128, "url(#ball)"))
        parts.append(_ellipse(x - 0.035, y - 0.04, 0.035, 0.03, "#fff3bf"))
    step = rng.uniform(-0.04, 0.04)
    for side in (-1, 1):
        parts.append(_ellipse(side * 0.31, 0.755 + side * step, 0.185, 0.13, TEAL_DEEP, f'transform="rotate({side * 6})"'))
    width = 0.6 + rng.uniform(-0.02, 0.035)
    parts.append(_ellipse(0, 0.08, width, 0.7, "url(#body)"))
    parts.append(_ellipse(0, 0.42, 0.38, 0.31, BELLY))
    parts.append(_ellipse(0, -0.14, 0.325, 0.325, WHITE))
    angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.02, 0.11)
    x, y = far * math.cos(angle), -0.13 + 0.8 * far * math.sin(angle)
    parts.append(_ellipse(x, y, 0.16, 0.16, INK))
    parts.append(_ellipse(x + 0.045, y - 0.06, 0.048, 0.048, WHITE))
    smile = rng.uniform(0.11, 0.17)
    parts.append(_line(f"M -0.19 0.31 Q 0 {0.31 + smile:.3f} 0.19 0.30", "#0f4347", 0.05))
    return "".join(parts)


def glorp(rng: Random) -> str:
    """An orange box with three eyes, a purple zigzag mouth, two purple stripes, arms, and a spring with a red ball."""
    parts = [f"<defs>{_shading('body', ORANGE_LIGHT, ORANGE, ORANGE_DARK)}{_shading('ball', '#f2687a', '#dc283c', '#b51c30')}</defs>"]
    top = -0.93 + rng.uniform(-0.05, 0.05)
    lean = rng.uniform(-0.1, 0.1)
    spring = [((0.13 if i % 2 else -0.13) + lean * i / 6, -0.5 + (top + 0.5) * i / 6) for i in range(7)]
    parts.append(_line("M " + " L ".join(f"{x:.3f} {y:.3f}" for x, y in spring), "#5a5a64", 0.055))
    x, y = spring[-1]
    parts += [_ellipse(x, y, 0.12, 0.12, "url(#ball)"), _ellipse(x - 0.03, y - 0.04, 0.032, 0.028, "#fbb9c1")]
    arm = rng.uniform(-0.25, 0.25)
    for side in (-1, 1):
        parts.append(_line(f"M {side * 0.6} 0.1 L {side * 0.9} {0.1 + side * arm:.3f}", PURPLE, 0.13))
    parts.append('<rect x="-.65" y="-.52" width="1.3" height="1.37" rx=".16" fill="url(#body)"/>')
    parts += [f'<rect x="-.65" y="{row}" width="1.3" height=".11" fill="{PURPLE}"/>' for row in (0.4, 0.62)]
    look_x, look_y = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
    for x in (-0.37, 0.0, 0.37):
        parts += [_ellipse(x, -0.22, 0.165, 0.165, WHITE), _ellipse(x + look_x, -0.22 + look_y, 0.075, 0.075, INK)]
    mouth = [(-0.4 + 0.16 * i, 0.22 if i % 2 else 0.09) for i in range(6)]
    parts.append(_line("M " + " L ".join(f"{x:.3f} {y:.3f}" for x, y in mouth), PURPLE, 0.065))
    return "".join(parts)


def kite(rng: Random) -> str:
    """A diamond of four magenta and cream quarters with a tail."""
    quarters = [
        ("0 -.9", "-.6 -.2", "#b8358f"),
        ("0 -.9", ".6 -.2", "#f6ead2"),
        ("0 .5", "-.6 -.2", "#f6ead2"),
        ("0 .5", ".6 -.2", "#b8358f"),
    ]
    parts = [f'<path d="M {a} L {b} L 0 -.2 Z" fill="{fill}"/>' for a, b, fill in quarters]
    swing = rng.uniform(-0.3, 0.3)
    return "".join(parts) + _line(f"M 0 .5 Q {swing:.3f} .62 0 .74 T {-swing:.3f} .95", "#5b4636", 0.05)


def house(rng: Random) -> str:
    """A cream house with a brown roof, a door and one window."""
    door = rng.choice((-0.3, 0.0, 0.28))
    window = -0.32 if door >= 0.0 else 0.3
    return (
        '<rect x="-.6" y="-.15" width="1.2" height=".95" fill="#efe2c4"/><path d="M -.8 -.15 L 0 -.85 L .8 -.15 Z" fill="#8a4b2d"/>'
        f'<rect x="{door - 0.14:.2f}" y=".28" width=".28" height=".52" fill="#6b3a26"/>'
        f'<rect x="{window - 0.13:.2f}" y=".08" width=".28" height=".28" fill="#8fc7e8"/>'
    )


def boat(rng: Random) -> str:
    """A brown hull with a cream and a red sail."""
    mast = rng.uniform(-0.12, 0.08)
    return (
        '<path d="M -.85 .35 L .85 .35 L .5 .8 L -.5 .8 Z" fill="#7a4a2a"/>'
        f'<path d="M {mast:.2f} -.9 L {mast:.2f} .25 L .7 .25 Z" fill="#f6ead2"/>'
        f'<path d="M {mast - 0.08:.2f} -.6 L {mast - 0.08:.2f} .25 L -.6 .25 Z" fill="#d8413c"/>'
    )


def flower(rng: Random) -> str:
    """Eight pink petals around a brown middle, on a stem with one leaf."""
    turn = rng.uniform(0, 45)
    petals = "".join(
        _ellipse(0, -0.3, 0.13, 0.26, "#ef7fb0", f'transform="translate(0 -.3) rotate({turn + 45 * i:.1f})"') for i in range(8)
    )
    leaf = rng.choice((-1, 1))
    stem = _line("M 0 -.2 L 0 .9", "#1f6a38", 0.09) + _ellipse(leaf * 0.24, 0.5, 0.24, 0.1, "#1f6a38", f'transform="rotate({-leaf * 8})"')
    return stem + petals + _ellipse(0, -0.3, 0.2, 0.2, "#6b3a26")


FIGURES: dict[str, Figure] = {"zog": zog, "glorp": glorp, "kite": kite, "house": house, "boat": boat, "flower": flower}
