"""First stage: the drawings that everything is trained on, as arrays on disk."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from assets.build.concepts import CONCEPTS, HELD_OUT
from assets.build.icons import IconSet

log = logging.getLogger(__name__)

VENDORS = ("flat", "noto", "fx", "twemoji")
BASE_VENDORS = ("flat", "noto")
# A glyph is pasted smaller than it is stored, so that it is only ever scaled down into the 128 px picture.
GLYPH_PX = 144
OTHER_PX = 112
TONED = ("-light", "-dark", "-medium")


@dataclass(frozen=True)
class Drawings:
    """All drawings in memory.

    `glyphs` maps "vendor/concept" to RGBA; `others` are icons of the base's vendors that are no concept, for the VAE
    only; `names` are emoji names, for the tokenizer's vocabulary only.
    """

    glyphs: dict[str, Image.Image]
    others: list[Image.Image]
    names: list[str]

    def of(self, *vendors: str) -> list[tuple[str, str]]:
        """(vendor, concept) of every known concept that these vendors draw; the held-out ones never."""
        return [(v, n) for v in vendors for n in CONCEPTS if f"{v}/{n}" in self.glyphs]


def _others(icons: IconSet, used: set[str], count: int, rng: Random) -> list[Image.Image]:
    pool = [n for n in icons.icons["icons"] if n not in used and "skin-tone" not in n and "flag" not in n and not n.endswith(TONED)]
    rng.shuffle(pool)
    return [icons.draw(name, OTHER_PX) for name in pool[:count]]


def render(packages: Path, out: Path, *, seed: int, num_others: int) -> None:
    """Writes `glyphs.npz`, `others.npz` and `names.json` into `out` from the unpacked icon packages."""
    rng = Random(f"others {seed}")
    glyphs: dict[str, np.ndarray] = {}
    others: list[Image.Image] = []
    for vendor in VENDORS:
        icons = IconSet.read(packages, vendor)
        found = {name: icons.find(name, character) for name, character in (CONCEPTS | HELD_OUT).items()}
        for name, icon in found.items():
            if icon is not None:
                glyphs[f"{vendor}/{name}"] = np.asarray(icons.draw(icon, GLYPH_PX))
        log.info("%s draws %d of %d things", vendor, sum(icon is not None for icon in found.values()), len(found))
        if vendor in BASE_VENDORS:
            others += _others(icons, {icon for icon in found.values() if icon}, num_others // len(BASE_VENDORS), rng)
    entries = json.loads((packages / "names" / "data-by-emoji.json").read_text("utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "others.npz", others=np.stack([np.asarray(o) for o in others]))
    (out / "names.json").write_text(json.dumps([entry["name"] for entry in entries.values()]), encoding="utf-8")
    # Last, because its presence says that the stage is done.
    np.savez_compressed(out / "glyphs.npz.part.npz", **glyphs)  # type: ignore[arg-type]
    (out / "glyphs.npz.part.npz").replace(out / "glyphs.npz")


def load_drawings(folder: Path) -> Drawings:
    """What `render` wrote."""
    with np.load(folder / "glyphs.npz") as stored:
        glyphs = {name: Image.fromarray(stored[name]) for name in stored.files}
    with np.load(folder / "others.npz") as stored:
        others = [Image.fromarray(pixels) for pixels in stored["others"]]
    return Drawings(glyphs, others, json.loads((folder / "names.json").read_text("utf-8")))
