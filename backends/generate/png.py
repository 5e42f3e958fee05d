"""A picture as a PNG with the settings that made it inside, and no path of this machine."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backends.contract import files
from backends.contract.draw import DrawConfig
from backends.contract.drawing import name_publicly


def write_png(path: Path, picture: Image.Image, settings: dict[str, Any]) -> None:
    """Writes the picture whole or not at all; `settings` go in as JSON (“darkroom”) and as A1111's line (“parameters”)."""
    info = PngInfo()
    info.add_itxt("darkroom", json.dumps(settings, ensure_ascii=False))
    info.add_itxt("parameters", _parameters(settings))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, buffer.getvalue())


def describe(config: DrawConfig, size: tuple[int, int]) -> dict[str, Any]:
    """The settings of one picture as plain values; files are named by their name and the start of their SHA-256."""
    values = config.model_dump(mode="json") | dict(zip(("width", "height"), size, strict=True))
    values["loras"] = [{**_name_file(Path(u.path)), "weight": u.weight} for u in config.loras]
    values["image"] = _name_file(Path(config.image)) if config.image else None
    values |= {model: name_publicly(values[model]) for model in ("base_model", "refiner") if values[model]}
    return values | {"software": "Darkroom"}


def _name_file(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": _sha256(path)}


_hashes: dict[tuple[str, int, int], str] = {}


def _sha256(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return _hashes[key]


def _parameters(settings: dict[str, Any]) -> str:
    """The line that other programs read settings from."""
    loras = "".join(f" <lora:{Path(u['name']).stem}:{u['weight']:g}>" for u in settings["loras"])
    negative = f"\nNegative prompt: {settings['negative_prompt']}" if settings["negative_prompt"] else ""
    edit = f", Image CFG scale: {settings['image_guidance_scale']:g}" if settings["image"] else ""
    refiner = f", Refiner: {settings['refiner']}, Refiner switch at: {1 - settings['refiner_share']:g}" if settings["refiner"] else ""
    return (
        f"{settings['prompt']}{loras}{negative}\nSteps: {settings['num_inference_steps']}, Sampler: {settings['sampler']}, "
        f"CFG scale: {settings['guidance_scale']:g}{edit}, Seed: {settings['seed']}, "
        f"Size: {settings['width']}x{settings['height']}, Model: {settings['base_model']}{refiner}"
    )
