"""What a colour is called: the nearest of the names that people use."""

from __future__ import annotations

import numpy as np

# Several shades of one name where its field is wide: the nearest shade names a colour.
SHADES = (
    ("white", (250, 250, 250)),
    ("black", (18, 18, 20)),
    ("grey", (140, 140, 142)),
    ("dark grey", (70, 70, 72)),
    ("light grey", (205, 205, 207)),
    ("red", (214, 48, 49)),
    ("red", (255, 0, 0)),
    ("dark red", (110, 16, 20)),
    ("orange", (243, 145, 38)),
    ("yellow", (250, 218, 70)),
    ("yellow", (255, 255, 0)),
    ("green", (60, 165, 75)),
    ("green", (40, 240, 60)),
    ("dark green", (20, 75, 30)),
    ("turquoise", (50, 190, 190)),
    ("turquoise", (0, 255, 255)),
    ("light blue", (150, 205, 245)),
    ("blue", (45, 95, 215)),
    ("blue", (0, 0, 255)),
    ("dark blue", (22, 30, 90)),
    ("purple", (140, 70, 190)),
    ("purple", (120, 0, 120)),
    ("pink", (248, 160, 195)),
    ("pink", (255, 190, 205)),
    ("brown", (120, 78, 45)),
    ("brown", (150, 50, 35)),
    ("beige", (228, 208, 175)),
)


def to_lab(colour: np.ndarray) -> np.ndarray:
    """sRGB, 0-255, as OKLab times 100, in which equal distances look equally large; a deep blue stays blue in it."""
    part = np.asarray(colour, np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(linear @ np.array([[0.4122, 0.2119, 0.0883], [0.5363, 0.6807, 0.2817], [0.0514, 0.1074, 0.6300]]))
    return 100 * (cones @ np.array([[0.2105, 1.9780, 0.0259], [0.7936, -2.4286, 0.7828], [-0.0041, 0.4506, -0.8087]]))


def colour_distance(one: np.ndarray, other: np.ndarray) -> float:
    """How different two colours look: 2 is just seen, 100 is black against white."""
    return float(np.linalg.norm(to_lab(one) - to_lab(other)))


def name_colour(colour: np.ndarray) -> str:
    """`blue`."""
    distances = np.linalg.norm(_LAB - to_lab(colour), axis=-1)
    return SHADES[int(distances.argmin())][0]


_LAB = to_lab(np.array([rgb for _, rgb in SHADES]))
