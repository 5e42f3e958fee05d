"""Icon packages in the Iconify format: fetched with npm, unpacked, found by character, drawn as RGBA."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import resvg_py
from PIL import Image

log = logging.getLogger(__name__)

# What each package is used for stands in NOTICE; "fx" only for the captioner, "twemoji" only to measure it.
PACKAGES: dict[str, str] = {
    "flat": "@iconify-json/fluent-emoji-flat@1.2.6",
    "noto": "@iconify-json/noto@1.2.9",
    "fx": "@iconify-json/fxemoji@1.2.2",
    "twemoji": "@iconify-json/twemoji@1.2.5",
    "names": "unicode-emoji-json@0.9.0",
}
NPM_TIMEOUT_S = 120

# fxemoji has an empty chars.json. Its name of a thing where that is not simply our own name without spaces, and
# None where it draws something else or nothing.
FX_NAMES: dict[str, str | None] = {
    "panda": "pandaface",
    "cow": "cowface",
    "monkey": "monkeyface",
    "chick": "frontfacingchick",
    "bee": "honeybee",
    "ladybug": "ladybeetle",
    "fish": "tropicalfish",
    "whale": "spurtingwhale",
    "rabbit": "bunny",
    "orange fruit": "tangerine",
    "corn": "earofmaize",
    "eggplant": "aubergine",
    "pizza": "sliceofpizza",
    "fried egg": "cooking",
    "donut": "doughnut",
    "ice cream": "softicecream",
    "cup of coffee": "hotbeverage",
    "tree": "deciduoustree",
    "car": "automobile",
    "fire truck": "fireengine",
    "steam train": "steamlocomotive",
    "gift": "present",
    "book": "closedbook",
    "scissors": "blackscissors",
    "grinning face": "grinwide",
    "crying face": "loudlycrying",
    "angry face": "pouting",
    "sunglasses face": "sunglasses",
    "heart eyes face": "hearteyes",
    "sleeping face": "sleeping",
    "pumpkin": "jackolantern",
    "snowman": "snowmanwithoutsnow",
    "blue heart": "heartblue",
    "sun": "sunrays",
    "water drop": "droplet",
    "globe": "europeafricaglobe",
    "fox": "foxsmiling",
    **dict.fromkeys(("lion", "owl", "unicorn", "butterfly", "crab", "dinosaur", "flamingo", "avocado", "carrot", "broccoli")),
    **dict.fromkeys(("hot dog", "cheese", "cupcake", "flying saucer", "house", "castle", "alarm clock", "laptop")),
    **dict.fromkeys(("basketball", "robot", "teddy bear", "clown face", "lightning bolt", "hedgehog")),
}


def fetch_packages(folder: Path) -> None:
    """Every package as `folder/<vendor>/`, through the machine's own npm; those that are there already stay.

    Raises:
        RuntimeError: When npm cannot deliver a package; says which and what npm said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for vendor, package in PACKAGES.items():
        target = folder / vendor
        if target.is_dir():
            continue
        log.info("fetching %s", package)
        done = subprocess.run(
            ["npm", "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"npm could not deliver {package}: {done.stderr.strip()[-400:]}. It needs npm and a registry in reach.")
        archive = folder / done.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as packed:
            packed.extractall(folder / f".{vendor}", filter="data")
        (folder / f".{vendor}" / "package").rename(target)
        (folder / f".{vendor}").rmdir()
        archive.unlink()


@dataclass(frozen=True)
class IconSet:
    """One vendor's icons.

    `icons` is the package's icons.json, `characters` its chars.json (code points in hex, joined by "-", to icon name).
    """

    vendor: str
    icons: dict[str, Any]
    characters: dict[str, str]

    @classmethod
    def read(cls, folder: Path, vendor: str) -> IconSet:
        """The set in `folder/<vendor>/`."""
        icons, characters = (json.loads((folder / vendor / name).read_text("utf-8")) for name in ("icons.json", "chars.json"))
        return cls(vendor, icons, characters)

    def find(self, name: str, character: str) -> str | None:
        """The vendor's own name for a concept, or None when it does not draw it."""
        if self.vendor == "fx":
            icon = FX_NAMES.get(name, name.replace(" ", ""))
        else:
            key = "-".join(f"{ord(c):x}" for c in character if ord(c) != 0xFE0F)
            icon = self.characters.get(key, self.characters.get(f"{key}-fe0f"))
        return icon if icon in self.icons["icons"] else None

    def draw(self, icon: str, side_px: int) -> Image.Image:
        """An icon by the vendor's name, RGBA, side_px square."""
        entry = self.icons["icons"][icon]
        left, top = (entry.get(key, self.icons.get(key, 0)) for key in ("left", "top"))
        width, height = (entry.get(key, self.icons.get(key, 16)) for key in ("width", "height"))
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}" width="{side_px}" height="{side_px}">{entry["body"]}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side_px, height=side_px, skip_system_fonts=True))
        return Image.open(io.BytesIO(png)).convert("RGBA")
