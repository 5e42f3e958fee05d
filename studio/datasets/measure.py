"""Numbers about one picture that the checks need: measured once, when it comes in, and kept in the cache."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from studio.datasets.bars import measure_bars
from studio.datasets.corners import BYTES as CORNERS
from studio.datasets.corners import measure_corners

_SIDE = 256
_TINY = 8 * 8 * 3
CUT = 0.05  # share of a side
# Where a copy may have been cut: at left, top, right and bottom, in shares of `CUT`.
_CORNERS, _SIDES = ((1, 1, 0, 0), (0, 1, 1, 0), (1, 0, 0, 1), (0, 0, 1, 1)), ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
_CUTS = (*_CORNERS, *_SIDES, (0.5,) * 4, (1,) * 4)
CUT_HASHES = len(_CUTS)
_CUT_SIDE = 128
_EDGE = _CUT_SIDE * CUT
_CUT_BOXES = [(left * _EDGE, top * _EDGE, _CUT_SIDE - right * _EDGE, _CUT_SIDE - bottom * _EDGE) for left, top, right, bottom in _CUTS]
_LEVELS = np.arange(256)
_LAYOUT = struct.Struct(f"<16s16s{_TINY}s4d{16 * CUT_HASHES}s4d{CORNERS}s")


@dataclass(frozen=True, slots=True)
class Measures:
    """`dhash` and `mirrored_dhash`: 128 bits of which neighbour is brighter, across and down; `tiny`: 8 x 8 RGB means, 0-255.

    `cut_dhashes`: 16 bytes each, what `dhash` would be if 5 % were cut off at a corner, at one side, or all round.
    `sharpness`: the strongest edges against the picture's own range, 0 to about 4; `brightness` and `contrast`: mean and
    standard deviation of the grey values, 0-255; `colours`: RGB range that the middle 98 % of pixels span, the widest channel;
    `brightest`: what 99 % of the values of the brightest channel stay below, 0-255; `entropy` of the grey values, 0 to 8 bits.
    `bars` and `corners`: see `measure_bars` and `measure_corners`.
    """

    dhash: int
    mirrored_dhash: int
    tiny: bytes
    sharpness: float
    brightness: float
    contrast: float
    colours: float
    cut_dhashes: bytes = bytes(16 * CUT_HASHES)
    brightest: float = 255.0
    entropy: float = 8.0
    bars: tuple[float, float] = (0.0, 0.0)
    corners: bytes = b""

    def to_bytes(self) -> bytes:
        """928 bytes, from which `from_bytes` makes the same again."""
        hashes = (number.to_bytes(16, "big") for number in (self.dhash, self.mirrored_dhash))
        tones = (self.sharpness, self.brightness, self.contrast, self.colours)
        rims = (self.brightest, self.entropy, *self.bars, self.corners)
        return _LAYOUT.pack(*hashes, self.tiny, *tones, self.cut_dhashes, *rims)

    @classmethod
    def from_bytes(cls, data: bytes) -> Measures:
        """The measures that `to_bytes` wrote."""
        values = _LAYOUT.unpack(data)
        dhash, mirrored = (int.from_bytes(number, "big") for number in values[:2])
        first, last = len(values) - 3, len(values) - 1
        rest: list[Any] = [*values[2:first], values[first:last], values[last]]
        return cls(dhash, mirrored, *rest)


def measure_picture(image: Image.Image) -> Measures:
    """Measures of an RGB picture, taken on a copy of at most 256 px a side."""
    small = _shrink(image if image.mode == "RGB" else image.convert("RGB"))
    grey = small.convert("L")
    mirrored, cut = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey.resize((_CUT_SIDE, _CUT_SIDE), Image.Resampling.BOX)
    whole = (0.0, 0.0, float(grey.width), float(grey.height))
    hashes = _hash_greys([(grey, whole), (mirrored, whole), *((cut, box) for box in _CUT_BOXES)])
    counts = np.asarray(grey.histogram())
    brightness = float(counts @ _LEVELS) / counts.sum()
    channels = np.asarray(small.histogram()).reshape(3, 256)
    shares = counts[counts > 0] / counts.sum()
    return Measures(
        dhash=int.from_bytes(hashes[:16], "big"),
        mirrored_dhash=int.from_bytes(hashes[16:32], "big"),
        tiny=np.asarray(small.resize((8, 8), Image.Resampling.BOX)).tobytes(),
        sharpness=round(compute_sharpness(np.asarray(grey), counts), 4),
        brightness=round(brightness, 2),
        contrast=round(float(np.sqrt(counts @ (_LEVELS - brightness) ** 2 / counts.sum())), 2),
        colours=max(_spread(channel) for channel in channels),
        cut_dhashes=hashes[32:],
        brightest=max(_find_level(channel, 0.99) for channel in channels),
        entropy=round(float(-(shares * np.log2(shares)).sum()), 3) + 0.0,
        bars=measure_bars(np.asarray(grey)),
        corners=measure_corners(grey),
    )


def _shrink(image: Image.Image) -> Image.Image:
    """At most 256 px a side, and the more is left out in whole steps first, which is the cheapest way."""
    most = max(image.size)
    if most <= _SIDE:
        return image
    size = tuple(max(1, round(side * _SIDE / most)) for side in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.BOX, reducing_gap=1.0)


def _hash_greys(parts: list[tuple[Image.Image, tuple[float, float, float, float]]]) -> bytes:
    """16 bytes of each box of a grey picture: is each of 8 x 8 cells brighter than its neighbour to the right, and than the one below."""
    across = np.stack([np.asarray(grey.resize((9, 8), Image.Resampling.BOX, box)) for grey, box in parts])
    down = np.stack([np.asarray(grey.resize((8, 9), Image.Resampling.BOX, box)) for grey, box in parts])
    bits = [across[:, :, :-1] > across[:, :, 1:], down[:, :-1] > down[:, 1:]]
    return np.packbits(np.concatenate([part.reshape(len(parts), -1) for part in bits], axis=1)).tobytes()


def compute_sharpness(grey: np.ndarray, counts: np.ndarray | None = None) -> float:
    """How abrupt the strongest edges are: the 99.5th percentile of the Laplacian, as a share of the picture's own range.

    Unlike the plain variance of the Laplacian it does not take a clean drawing with few edges for a blurred photo.

    Args:
        grey: (height, width) of bytes, at most 256 px a side.
        counts: How often each level occurs in it, where that is known.
    """
    if min(grey.shape) < 8:
        return 1.0
    values = grey.astype(np.int16)
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * values[1:-1, 1:-1]
    edges = np.bincount(np.abs(laplacian).ravel())
    return _find_level(edges, 0.995) / max(16.0, _spread(np.bincount(grey.ravel()) if counts is None else counts))


def _spread(counts: np.ndarray) -> float:
    """Levels between which the middle 98 % lie."""
    return _find_level(counts, 0.99) - _find_level(counts, 0.01)


def _find_level(counts: np.ndarray, share: float) -> float:
    """The level up to which this share lies, by how often each whole level occurs: many times faster than sorting, and exact for bytes."""
    below = np.cumsum(counts)
    return float(np.searchsorted(below, share * (below[-1] - 1), side="right"))
