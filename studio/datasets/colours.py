"""What a colour is called: the nearest of the names that people use."""

from __future__ import annotations

import numpy as np

NAMES = {
    "white": (250, 250, 250),
    "black": (18, 18, 20),
    "grey": (140, 140, 142),
    "red": (214, 48, 49),
    "orange": (243, 145, 38),
    "yellow": (250, 218, 70),
    "green": (60, 165, 75),
    "turquoise": (50, 190, 190),
    "light blue": (150, 205, 245),
    "blue": (45, 95, 215),
    "dark blue": (22, 30, 90),
    "purple": (140, 70, 190),
    "pink": (248, 160, 195),
    "brown": (120, 78, 45),
    "beige": (228, 208, 175),
}


def to_lab(colour: np.ndarray) -> np.ndarray:
    """sRGB, 0-255, as CIE L*a*b*, in which equal distances look equally large."""
    part = np.asarray(colour, np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    scaled = xyz / np.array([0.9505, 1.0, 1.089])
    curved = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    lightness, x, z = 116 * curved[..., 1] - 16, curved[..., 0], curved[..., 2]
    return np.stack([lightness, 500 * (x - curved[..., 1]), 200 * (curved[..., 1] - z)], -1)


def colour_distance(one: np.ndarray, other: np.ndarray) -> float:
    """How different two colours look: 2 is just seen, 100 is black against white."""
    return float(np.linalg.norm(to_lab(one) - to_lab(other)))


def name_colour(colour: np.ndarray) -> str:
    """`blue`."""
    distances = np.linalg.norm(_LAB - to_lab(colour), axis=-1)
    return list(NAMES)[int(distances.argmin())]


_LAB = to_lab(np.array(list(NAMES.values())))
