"""The ten plainly named background colours that the pocket models know."""

from __future__ import annotations

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "white": (250, 250, 250),
    "black": (24, 24, 28),
    "grey": (150, 150, 154),
    "red": (214, 48, 49),
    "orange": (243, 145, 38),
    "yellow": (250, 218, 70),
    "green": (60, 165, 75),
    "blue": (52, 105, 220),
    "purple": (140, 70, 190),
    "pink": (248, 160, 195),
}


def with_article(word: str) -> str:
    """`an orange`, `a red`."""
    return ("an " if word[0] in "aeiou" else "a ") + word


def on_background(subject: str, colour: str) -> str:
    """`zog on a red background`: how the pocket models' captions end."""
    return f"{subject} on {with_article(colour)} background"


def to_hex(colour: RGB) -> str:
    """`#d63031`, as SVG wants it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def shade(colour: RGB, factor: float) -> RGB:
    """The colour multiplied by a factor, kept in 0 to 255; above 1 is lighter."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue
