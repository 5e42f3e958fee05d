"""Drafts of instructions: what changed between two pictures, said only where it can be measured. A person reads every one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from studio.datasets.colours import colour_distance, name_colour
from studio.datasets.measure import compute_sharpness
from studio.datasets.trigger import find_subject

_SIDE = 128
_CHANGED = 24.0  # a pixel whose strongest channel differs by more has changed; saving as JPEG stays below
_SAME_SHARE = 0.004
_BACKGROUND = re.compile(r"\b(?:on|in front of|against)\s+(?:an?|the)\s+([\w-]+(?:\s[\w-]+)?)\s+background\b", re.IGNORECASE)
_SAME_OUTLINES = 0.25  # of pairs of two things 0.19 at most was seen, of day and night 0.29 at least
_ARTICLE = re.compile(r"^(?:an?|the|one)\s+", re.IGNORECASE)
_TURNS = (
    (lambda a: a[:, ::-1], "mirror it"),
    (lambda a: a[::-1, ::-1], "turn it upside down"),
    (lambda a: a[::-1], "flip it top to bottom"),
)


@dataclass(frozen=True)
class _Ground:
    """A picture on a plain ground: its colour, and where something else is."""

    colour: np.ndarray
    thing: np.ndarray

    @property
    def share(self) -> float:
        return float(self.thing.mean())


def draft_from_pictures(before: Image.Image, after: Image.Image) -> str:
    """What turns one picture into the other, or nothing where the pictures alone do not tell it surely enough."""
    a, b = _pixels(before), _pixels(after)
    changed = np.abs(a - b).max(-1) > _CHANGED
    if changed.mean() < _SAME_SHARE:
        return _draft_sharpness(before, after)
    return _draft_turn(a, b) or _draft_on_ground(a, b) or _draft_whole(a, b, changed) or _draft_sharpness(before, after)


def draft_from_captions(before: str, after: str) -> str:
    """The same from what a captioner says of both pictures: another thing, or another background."""
    one, other = _ARTICLE.sub("", find_subject(before)), find_subject(after)
    new = _ARTICLE.sub("", other)
    if one and new and one.casefold() != new.casefold():
        return f"turn the {one} into " + (new if new == other else f"{_article(new)} {new}")
    here, there = _BACKGROUND.search(before), _BACKGROUND.search(after)
    if there and (here is None or here[1].casefold() != there[1].casefold()):
        return f"make the background {there[1].lower()}"
    return ""


def _pixels(image: Image.Image) -> np.ndarray:
    """(128, 128, 3), 0-255."""
    return np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)


def _draft_turn(a: np.ndarray, b: np.ndarray) -> str:
    plain = _difference(a, b)
    for turn, words in _TURNS:
        if _difference(turn(a), b) < min(6.0, plain / 3):
            return words
    return "invert the colours" if _difference(255 - a, b) < min(12.0, plain / 3) else ""


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def _draft_on_ground(a: np.ndarray, b: np.ndarray) -> str:
    """Pictures of one thing on a plain ground: another ground, or the thing larger, elsewhere or in another colour."""
    one, other = _find_ground(a), _find_ground(b)
    if one is None or other is None:
        return ""
    inside = one.thing & other.thing
    if colour_distance(one.colour, other.colour) > 12:
        kept = np.abs(a - b).max(-1)[inside]
        same = inside.sum() < 20 or float(np.median(kept)) < _CHANGED
        return f"make the background {name_colour(other.colour)}" if same else ""
    if min(one.share, other.share) < 0.005:
        return ""
    return _draft_thing(a, b, one, other)


def _find_ground(pixels: np.ndarray) -> _Ground | None:
    """The ground, where most of the picture's rim has one colour."""
    rim = np.concatenate([part.reshape(-1, 3) for part in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:])])
    colour = np.median(rim, axis=0)
    if (np.abs(rim - colour).max(-1) < _CHANGED).mean() < 0.7:
        return None
    return _Ground(colour, np.abs(pixels - colour).max(-1) > _CHANGED)


def _draft_thing(a: np.ndarray, b: np.ndarray, one: _Ground, other: _Ground) -> str:
    cut_a, cut_b = _cut(a, one.thing), _cut(b, other.thing)
    growth = float(np.sqrt(other.share / one.share))
    if _alike(cut_a.pixels, cut_b.pixels):
        if growth > 1.12:
            return "make it bigger"
        if growth < 0.89:
            return "make it smaller"
        return _draft_move(cut_a.centre, cut_b.centre)
    overlap = (one.thing & other.thing).sum() / max(1, (one.thing | other.thing).sum())
    if overlap > 0.85:
        return _draft_colour(a, b, one.thing & other.thing)
    return ""


@dataclass(frozen=True)
class _Cut:
    pixels: np.ndarray
    centre: tuple[float, float]


def _cut(pixels: np.ndarray, thing: np.ndarray) -> _Cut:
    """The thing alone, brought to one size, and where it was (across and down, 0-1)."""
    down, across = np.flatnonzero(thing.any(1)), np.flatnonzero(thing.any(0))
    box = (int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1)
    image = Image.fromarray(pixels.astype(np.uint8)).crop(box).resize((32, 32), Image.Resampling.BOX)
    return _Cut(np.asarray(image, np.float32), ((box[0] + box[2]) / 2 / _SIDE, (box[1] + box[3]) / 2 / _SIDE))


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two cuts show the same: small shifts at edges count little, colours count much."""
    return float(np.median(np.abs(a - b).max(-1))) < _CHANGED and _difference(a, b) < 26


def _draft_move(start: tuple[float, float], end: tuple[float, float]) -> str:
    across, down = end[0] - start[0], end[1] - start[1]
    if max(abs(across), abs(down)) < 0.06:
        return ""
    if abs(across) >= abs(down):
        return "move it to the right" if across > 0 else "move it to the left"
    return "move it down" if down > 0 else "move it up"


def _draft_colour(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> str:
    """The thing in another colour, where most of it changed to one."""
    part = inside & (np.abs(a - b).max(-1) > _CHANGED)
    if part.sum() < 0.4 * inside.sum() or not _same_shading(a.mean(-1)[inside], b.mean(-1)[inside]):
        return ""
    colour = np.median(b[part], axis=0)
    even = (np.abs(b[part] - colour).max(-1) < 2.5 * _CHANGED).mean() > 0.6
    return f"make it {name_colour(colour)}" if even else ""


def _same_shading(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether light and dark lie alike on both: a thing painted anew, and not another one of the same outline."""
    return (a.std() < 12 and b.std() < 12) or _correlation(a, b) > 0.6


def _draft_whole(a: np.ndarray, b: np.ndarray, changed: np.ndarray) -> str:
    """The whole picture in another light or other colours; its shapes stay."""
    light_a, light_b = a.mean(-1), b.mean(-1)
    if changed.mean() < 0.5:
        return ""
    if _correlation(light_a, light_b) < 0.8:
        return _draft_light(light_a, light_b, b)
    colour_a, colour_b = float(np.ptp(a, axis=-1).mean()), float(np.ptp(b, axis=-1).mean())
    if colour_b < 8 < 20 < colour_a:
        return "make it black and white"
    ratio = (float(light_b.mean()) + 8) / (float(light_a.mean()) + 8)
    warmth = float((b[..., 0] - b[..., 2]).mean() - (a[..., 0] - a[..., 2]).mean())
    if ratio < 0.78 or ratio > 1.28:
        return _name_darkness(light_a, b) if ratio < 1 else "make it brighter"
    if abs(warmth) > 18:
        return "make it warmer" if warmth > 0 else "make it cooler"
    if colour_b > 1.4 * colour_a or colour_b < 0.65 * colour_a:
        return "make the colours stronger" if colour_b > colour_a else "make the colours paler"
    return ""


def _draft_light(light_a: np.ndarray, light_b: np.ndarray, b: np.ndarray) -> str:
    """Darker or brighter everywhere, each thing by another amount: known by the outlines, which stay where they were."""
    edges = [np.hypot(*np.gradient(light)) for light in (light_a, light_b)]
    if _correlation(*edges) < _SAME_OUTLINES:
        return ""
    if (light_b < light_a - 8).mean() > 0.9:
        return _name_darkness(light_a, b)
    return "make it brighter" if (light_b > light_a + 8).mean() > 0.9 else ""


def _name_darkness(light_a: np.ndarray, b: np.ndarray) -> str:
    """Much darker and bluish is what people call night."""
    night = b.mean() < 0.45 * light_a.mean() and float((b[..., 2] - b[..., 0]).mean()) > 8
    return "make it night" if night else "make it darker"


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(1e-6, np.sqrt((a * a).sum() * (b * b).sum())))


def _draft_sharpness(before: Image.Image, after: Image.Image) -> str:
    """The same picture in or out of focus."""
    one, other = (compute_sharpness(_grey(image).astype(np.uint8)) for image in (before, after))
    if min(one, other) * 2.2 < max(one, other) and min(one, other) < 0.25 and _correlation(_grey(before), _grey(after)) > 0.9:
        return "blur it" if other < one else "make it sharper"
    return ""


def _grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((256, 256), Image.Resampling.BOX), np.float32)


def _article(word: str) -> str:
    return "an" if word[0].lower() in "aeiou" else "a"
