"""What edits of the held-out pictures did: how near the background came to the colour asked for, and how much of the subject changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig
from backends.generate.loading import load_draw_pipeline
from tests.learning import SAMPLES

HELD_OUT = SAMPLES / "edits_held_out"


@dataclass(frozen=True)
class Edit:
    """One edited picture, measured.

    background: distance of the mean colours outside the subject's mask, edit against wanted picture, 0 to 441.
    subject: mean change of a value inside the mask, edit against the picture before, 0 to 255.
    """

    background: float
    subject: float


def edit_held_out(weights: Path, base: str, **settings: object) -> list[Edit]:
    """“make the background blue” on all twenty, drawn as the Generate page draws."""
    pipeline = load_draw_pipeline(base)
    pairs = [json.loads(line) for line in (HELD_OUT / "metadata.jsonl").read_text("utf-8").splitlines()]
    values = {"base_model": base, "loras": [{"path": str(weights), "weight": 1.0}], **settings}
    configs = [
        parse_config(DrawConfig, {**values, "prompt": pair["instruction"], "image": str(HELD_OUT / pair["input_image"])}) for pair in pairs
    ]
    pipeline.check(configs[0])
    return [_measure(np.asarray(picture), pair) for picture, pair in zip(pipeline.draw(configs, lambda done: None), pairs, strict=True)]


def _measure(edited: np.ndarray, pair: dict[str, str]) -> Edit:
    before, wanted = _read(pair["input_image"]), _read(pair["output_image"])
    subject = np.asarray(Image.open(HELD_OUT / "masks" / f"{Path(pair['input_image']).stem}.png").convert("L")) > 127
    distance = np.linalg.norm(edited[~subject].mean(0) - wanted[~subject].mean(0))
    return Edit(float(distance), float(np.abs(edited - before)[subject].mean()))


def _read(name: str) -> np.ndarray:
    return np.asarray(Image.open(HELD_OUT / name).convert("RGB"), np.float32)
