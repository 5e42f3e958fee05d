"""Draws the edit pairs: `python -m assets.build.draw_pairs [folder] [--wrong]`.

    edits            480 pairs to train on: another background, another size, another thing
    edits_held_out   20 pairs “make the background blue” of things that the training pairs do not show, with the
                     subject's mask, so that a test can measure background and subject apart

A set is `input_images`, `output_images` and `metadata.jsonl`. `--wrong` writes `edits_wrong` instead: the pictures of
`edits`, each under another pair's instruction. Every pair is a pure function of `pairs.py`, and a test draws them again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from assets.build.colours import COLOURS
from assets.build.concepts import CONCEPTS
from assets.build.draw_samples import SAMPLES
from assets.build.icons import IconSet
from assets.build.pairs import (
    HELD_OUT_THINGS,
    ICONS,
    KNOWN_THINGS,
    NOTO_THINGS,
    Plan,
    Scene,
    draw_thing,
    plan_held_out,
    plan_training,
    spoil,
)

SIDE_PX = 128
NUM_COLOURS = 32
INPUTS, OUTPUTS, MASKS = "input_images", "output_images", "masks"


def _place(scene: Scene, canvas: Image.Image, ink: Image.Image) -> Image.Image:
    side = round(SIDE_PX * scene.size)
    glyph = draw_thing(*scene.drawing).resize((side, side), Image.Resampling.LANCZOS)
    corner = tuple(round((SIDE_PX - side) / 2 + shift * SIDE_PX) for shift in scene.shift)
    canvas.paste(glyph if ink is canvas else ink.crop((0, 0, side, side)), (corner[0], corner[1]), glyph)
    return canvas


def draw_scene(scene: Scene) -> Image.Image:
    """The picture, 128 x 128 RGB, in 32 colours: a third of the bytes, and on average half a level of 255 from the full ones."""
    canvas = Image.new("RGB", (SIDE_PX, SIDE_PX), COLOURS[scene.colour])
    full = _place(scene, canvas, canvas)
    return full.quantize(NUM_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")


def draw_mask(scene: Scene) -> Image.Image:
    """White where the subject covers the background by more than half, black elsewhere."""
    covered = _place(scene, Image.new("L", (SIDE_PX, SIDE_PX), 0), Image.new("L", (SIDE_PX, SIDE_PX), 255))
    return covered.point(lambda cover: 255 if cover > 127 else 0).convert("1")


def write_set(folder: Path, plans: list[Plan], *, wrong: bool = False, masks: bool = False) -> None:
    """Writes the pairs as `input_images/<number>.webp` and `output_images/<number>.webp`, lossless, with a `metadata.jsonl`."""
    for part in (INPUTS, OUTPUTS, *([MASKS] if masks else [])):
        (folder / part).mkdir(parents=True, exist_ok=True)
    instructions = [plan.instruction for plan in plans]
    lines = []
    for number, (plan, instruction) in enumerate(zip(plans, spoil(instructions) if wrong else instructions, strict=True), 1):
        name = f"{number:03d}.webp"
        for part, scene in ((INPUTS, plan.before), (OUTPUTS, plan.after)):
            draw_scene(scene).save(folder / part / name, lossless=True, quality=100, method=6)
        if masks:
            draw_mask(plan.before).save(folder / MASKS / f"{number:03d}.png", optimize=True)
        lines.append(json.dumps({"input_image": f"{INPUTS}/{name}", "instruction": instruction, "output_image": f"{OUTPUTS}/{name}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_pairs(folder: Path) -> None:
    """Writes both sets that are shipped."""
    write_set(folder / "edits", plan_training())
    write_set(folder / "edits_held_out", plan_held_out(), masks=True)


def write_wrong(folder: Path) -> None:
    """Writes the control set `edits_wrong`."""
    write_set(folder / "edits_wrong", plan_training(), wrong=True)


def take_icons(packages: Path) -> None:
    """Copies the icons that the pairs show from the unpacked packages into `pair_icons`, one a line."""
    for vendor, things in (("flat", KNOWN_THINGS), ("noto", NOTO_THINGS)):
        icons = IconSet.read(packages, vendor)
        names = {thing: icons.find(thing, CONCEPTS[thing]) for thing in (*things, *HELD_OUT_THINGS)}
        kept = {name: icons.icons["icons"][name] for name in sorted(filter(None, names.values()))}
        keys = {key: name for key, name in icons.characters.items() if name in kept}
        sizes = {key: icons.icons[key] for key in ("left", "top", "width", "height") if key in icons.icons}
        (ICONS / vendor).mkdir(parents=True, exist_ok=True)
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in kept.items())
        text = f'{json.dumps(sizes)[:-1]}{", " if sizes else ""}"icons": {{\n{rows}\n}}}}\n'
        (ICONS / vendor / "icons.json").write_text(text, encoding="utf-8")
        (ICONS / vendor / "chars.json").write_text(json.dumps(keys, indent=0, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m assets.build.draw_pairs", description="Draw the edit pairs.")
    parser.add_argument("folder", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--wrong", action="store_true", help="write the control set instead")
    parser.add_argument("--take-icons", type=Path, metavar="FOLDER", help="copy the icons anew from the packages in FOLDER first")
    given = parser.parse_args()
    if given.take_icons:
        take_icons(given.take_icons)
    (write_wrong if given.wrong else write_pairs)(given.folder)


if __name__ == "__main__":
    main()
