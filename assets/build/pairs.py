"""What the edit pairs show: which drawings, on which backgrounds, under which instruction; decided by numbers alone.

`draw_pairs.py` turns a plan into pictures. The icons in `pair_icons` are an excerpt of two vendors' packages, so that
the pictures can be drawn again without the internet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from assets.build.colours import COLOURS
from assets.build.concepts import CONCEPTS, FAMILY_THINGS, name_thing
from assets.build.draw_samples import draw_glyph
from assets.build.icons import IconSet

ICONS = Path(__file__).resolve().parent / "pair_icons"
GLYPH_PX = 144
# No training shows these, neither vendor's.
HELD_OUT_THINGS = ("panda", "pig", "turtle", "ladybug", "lion", "sunflower", "carrot", "pizza", "hamburger", "mushroom")
KNOWN_THINGS = tuple(thing for thing in FAMILY_THINGS if thing not in HELD_OUT_THINGS)
# The second vendor's larger drawings are left out to keep the excerpt small.
NOTO_THINGS = (
    *("cat", "dog", "frog", "chick", "alien", "snowman", "red apple", "banana", "watermelon", "cheese", "tree", "car", "sailboat"),
    *("umbrella", "balloon", "key", "red heart", "star", "sun", "crescent moon", "cloud", "rainbow", "grinning face", "gift"),
)
OWN_FIGURES = ("kite", "house", "boat", "flower")
ASKS_FOR_COLOUR = ("make the background {}",) * 4 + ("turn the background {}", "change the background to {}")
NUM_BACKGROUNDS, NUM_SIZES, NUM_THINGS = 360, 60, 60
LARGE, SMALL, USUAL = (0.84, 0.92), (0.46, 0.56), (0.68, 0.88)
# Of a drawing's pixels, at most this part may be as near to its background.
BLENDING_SHARE, BLENDING_DISTANCE = 0.15, 70


@dataclass(frozen=True)
class Scene:
    """One picture: a drawing (vendor, thing), its background, its side as a fraction of the picture's, and where it stands."""

    drawing: tuple[str, str]
    colour: str
    size: float
    shift: tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """An edit pair before it is drawn."""

    before: Scene
    after: Scene
    instruction: str


@cache
def _icons(vendor: str) -> IconSet:
    return IconSet.read(ICONS, vendor)


@cache
def draw_thing(vendor: str, thing: str) -> Image.Image:
    """A drawing as RGBA; the vendor "own" is Darkroom itself."""
    if vendor == "own":
        return draw_glyph(thing, Random(f"pairs {thing}"), GLYPH_PX)
    icons = _icons(vendor)
    icon = icons.find(thing, CONCEPTS[thing])
    if icon is None:
        raise ValueError(f"{vendor} draws no {thing}. Take the icons anew: python -m assets.build.draw_pairs --take-icons FOLDER")
    return icons.draw(icon, GLYPH_PX)


@cache
def fitting_colours(vendor: str, thing: str) -> tuple[str, ...]:
    """The backgrounds on which a drawing can be seen."""
    pixels = np.asarray(draw_thing(vendor, thing), np.float32)
    painted = pixels[pixels[..., 3] > 127][:, :3]
    near = {name: (np.linalg.norm(painted - rgb, axis=1) < BLENDING_DISTANCE).mean() for name, rgb in COLOURS.items()}
    return tuple(name for name, share in near.items() if share <= BLENDING_SHARE)


def _scene(drawing: tuple[str, str], colour: str, sizes: tuple[float, float], rng: Random) -> Scene:
    size = rng.uniform(*sizes)
    free = min(0.08, (1 - size) / 2)
    return Scene(drawing, colour, size, (rng.uniform(-free, free), rng.uniform(-free, free)))


def _drawings() -> list[tuple[str, str]]:
    return [("flat", t) for t in KNOWN_THINGS] + [("noto", t) for t in NOTO_THINGS] + [("own", t) for t in OWN_FIGURES]


def _plan_backgrounds(rng: Random) -> list[Plan]:
    """Every colour is asked for equally often, of drawings that come round in turn."""
    plans: list[Plan] = []
    deck: list[tuple[str, str]] = []
    for number in range(NUM_BACKGROUNDS):
        target = list(COLOURS)[number % len(COLOURS)]
        deck = deck or rng.sample(_drawings(), len(_drawings()))
        drawing = next((d for d in deck if target in fitting_colours(*d)), None) or rng.choice(
            [d for d in _drawings() if target in fitting_colours(*d)]
        )
        if drawing in deck:
            deck.remove(drawing)
        start = rng.choice([colour for colour in fitting_colours(*drawing) if colour != target])
        before = _scene(drawing, start, USUAL, rng)
        plans.append(Plan(before, replace(before, colour=target), rng.choice(ASKS_FOR_COLOUR).format(target)))
    return plans


def _plan_sizes(rng: Random) -> list[Plan]:
    plans = []
    for number, drawing in enumerate(rng.sample(_drawings(), NUM_SIZES)):
        large = _scene(drawing, rng.choice(fitting_colours(*drawing)), LARGE, rng)
        small = replace(large, size=rng.uniform(*SMALL))
        grows = number % 2 == 0
        plans.append(Plan(small, large, "make it bigger") if grows else Plan(large, small, "make it smaller"))
    return plans


def _plan_things(rng: Random) -> list[Plan]:
    """One thing becomes another of the same vendor, at the same place on the same background."""
    plans: list[Plan] = []
    while len(plans) < NUM_THINGS:
        vendor, thing = rng.choice([d for d in _drawings() if d[0] != "own"])
        other = rng.choice([t for v, t in _drawings() if v == vendor and t != thing])
        both = [c for c in fitting_colours(vendor, thing) if c in fitting_colours(vendor, other)]
        if both:
            before = _scene((vendor, thing), rng.choice(both), USUAL, rng)
            plans.append(Plan(before, replace(before, drawing=(vendor, other)), f"turn the {thing} into {name_thing(other)}"))
    return plans


def plan_training() -> list[Plan]:
    """The pairs to train on, the kinds mixed."""
    rng = Random("edit pairs")
    plans = _plan_backgrounds(rng) + _plan_sizes(rng) + _plan_things(rng)
    rng.shuffle(plans)
    return plans


def plan_held_out(colour: str = "blue") -> list[Plan]:
    """“make the background blue” of twenty drawings that no training sees, starting from other backgrounds."""
    rng = Random("edit pairs held out")
    plans = []
    for drawing in [(vendor, thing) for thing in HELD_OUT_THINGS for vendor in ("flat", "noto")]:
        start = rng.choice([c for c in fitting_colours(*drawing) if c != colour])
        before = _scene(drawing, start, USUAL, rng)
        plans.append(Plan(before, replace(before, colour=colour), f"make the background {colour}"))
    return plans


def spoil(instructions: list[str]) -> list[str]:
    """The same instructions, each under another's picture: a training on these must be seen to fail."""
    order = sorted(range(len(instructions)), key=lambda i: (instructions[i], i))
    most = max(instructions.count(text) for text in set(instructions))
    if 2 * most > len(instructions):
        raise ValueError(
            f"{most} of {len(instructions)} instructions are the same, so that some would stay right. Give more different ones."
        )
    # Sorted, equal ones stand together: moving all by the longest run leaves none where it was.
    spoilt = dict(zip(order, (instructions[i] for i in order[most:] + order[:most]), strict=True))
    return [spoilt[i] for i in range(len(instructions))]
