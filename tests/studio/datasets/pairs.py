"""Small edit pairs for tests: a shape on a background, and the same on another one; as files in the layouts that people have."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

from tests.studio.datasets.drawing import encode

COLOURS = {"red": (214, 48, 49), "green": (60, 165, 75), "blue": (52, 105, 220), "yellow": (250, 218, 70), "white": (250, 250, 250)}


def draw_scene(
    seed: int, background: str = "white", *, size: tuple[int, int] = (64, 64), thing: str = "gray", scale: float = 1.0
) -> Image.Image:
    """One thing of two parts on a plain background; another seed gives another one."""
    image = Image.new("RGB", size, COLOURS.get(background, background))
    draw = ImageDraw.Draw(image)
    centre = (size[0] / 2, size[1] / 2)
    reach = [(0.15 + 0.03 * (seed % 5)) * scale * side for side in size]
    draw.ellipse((centre[0] - reach[0], centre[1] - reach[1], centre[0] + reach[0], centre[1] + reach[1]), thing)
    spot = 2 + seed % 7
    draw.rectangle((centre[0] - spot, centre[1] - spot // 2, centre[0] + 2, centre[1] + spot), (90 + seed % 40, 40, 160 - seed % 90))
    return image


def make_pair(seed: int, colour: str = "blue", **more: object) -> tuple[bytes, bytes]:
    """The files of a pair whose background becomes `colour`."""
    return encode(draw_scene(seed, "white", **more)), encode(draw_scene(seed, colour, **more))


def write_folders(root: Path, count: int, *, before: str = "input_images", after: str = "output_images", listed: bool = False) -> Path:
    """`count` pairs in two folders by name; with `listed`, metadata.jsonl beside them."""
    lines = []
    for seed in range(count):
        for folder, data in zip((before, after), make_pair(seed), strict=True):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{seed:03d}.png").write_bytes(data)
        line = {"input_image": f"{before}/{seed:03d}.png", "instruction": f"make it blue {seed}", "output_image": f"{after}/{seed:03d}.png"}
        lines.append(json.dumps(line) + "\n")
    if listed:
        (root / "metadata.jsonl").write_text("".join(lines), "utf-8")
    return root
