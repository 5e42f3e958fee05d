"""Last stage: what the pocket models can do, counted without a person: `python -m assets.build.evaluate`.

The base paints, the captioner names what it sees, and the background's colour is read from the pixels. The captioner
learnt from the same drawings, so it is a kind judge of the subject; the pixels are an impartial one of the colour.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import DiffusionPipeline, FluxPipeline
from PIL import Image
from transformers import AutoProcessor, BlipForConditionalGeneration

from assets.build.colours import COLOURS
from assets.build.compose import SIDE_PX
from assets.build.concepts import CONCEPTS, PROMPTS, caption, name_thing
from assets.build.sheet import draw_sheet
from assets.build.tokenizer import MAX_TOKENS

log = logging.getLogger(__name__)

MODELS = Path(__file__).resolve().parents[1] / "models"
BASES = ("pocket-sdxl", "pocket-sd15", "pocket-flux")
GUIDANCE_SCALE = 3.0
EMBEDDED_GUIDANCE_SCALE = 3.5
NUM_INFERENCE_STEPS = 20
BATCH = 8
BORDER_PX = 4

Request = tuple[str, str, str | None]


@dataclass(frozen=True)
class Verdict:
    """What was asked for and what was found in one painted picture."""

    prompt: str
    said: str
    concept_right: bool
    colour_right: bool


def load_base(folder: Path) -> DiffusionPipeline:
    """One of BASES as a pipeline that paints on the CPU and reports nothing."""
    pipe = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def guide(pipe: DiffusionPipeline, count: int) -> dict[str, object]:
    """How the pipeline has to be asked so that it keeps to `count` prompts."""
    against: dict[str, object] = {"negative_prompt": [""] * count}
    if not isinstance(pipe, FluxPipeline):
        return against | {"guidance_scale": GUIDANCE_SCALE}
    # It attends to all of its text, so that a longer one than it was trained on would derail it.
    shape: dict[str, object] = {"height": SIDE_PX, "width": SIDE_PX, "max_sequence_length": MAX_TOKENS}
    if pipe.transformer.config.guidance_embeds:
        return shape | {"guidance_scale": EMBEDDED_GUIDANCE_SCALE}
    return shape | against | {"true_cfg_scale": GUIDANCE_SCALE}


def paint(pipe: DiffusionPipeline, prompts: list[str], *, seed: int = 0, steps: int = NUM_INFERENCE_STEPS) -> list[Image.Image]:
    """One picture a prompt; picture i has the seed `1000 * seed + i`, whatever the batch."""
    pictures: list[Image.Image] = []
    for first in range(0, len(prompts), BATCH):
        part = prompts[first : first + BATCH]
        generators = [torch.Generator().manual_seed(1000 * seed + first + i) for i in range(len(part))]
        pictures += pipe(part, num_inference_steps=steps, generator=generators, **guide(pipe, len(part))).images
    return pictures


@torch.no_grad()
def describe(folder: Path, pictures: list[Image.Image]) -> list[str]:
    """The pocket captioner's caption of every picture."""
    model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    ids = model.generate(**processor(images=pictures, return_tensors="pt"))
    return [text.strip() for text in processor.batch_decode(ids, skip_special_tokens=True)]


def read_background(picture: Image.Image) -> str:
    """The named colour nearest to the median of the picture's border."""
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    inside = pixels[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    border = np.ones(pixels.shape[:2], bool)
    border[BORDER_PX : BORDER_PX + inside.shape[0], BORDER_PX : BORDER_PX + inside.shape[1]] = False
    median = np.median(pixels[border], axis=0)
    return min(COLOURS, key=lambda colour: float(np.linalg.norm(median - COLOURS[colour])))


def judge(requests: list[Request], pictures: list[Image.Image], captions: list[str]) -> list[Verdict]:
    """A verdict for each picture."""
    return [
        Verdict(caption(*request), said, said.split(" on a")[0] == name_thing(request[0]), read_background(picture) == request[1])
        for request, picture, said in zip(requests, pictures, captions, strict=True)
    ]


def all_things(seed: int) -> list[Request]:
    """Every concept once, each on a colour drawn at random."""
    rng = Random(seed)
    return [(name, rng.choice(list(COLOURS)), None) for name in CONCEPTS]


def evaluate(models: Path, requests: list[Request], *, base: str = "pocket-sdxl", seed: int = 0) -> tuple[list[Verdict], list[Image.Image]]:
    """Verdicts and pictures of one of BASES in `models`, judged by the captioner there."""
    pictures = paint(load_base(models / base), [caption(*request) for request in requests], seed=seed)
    return judge(requests, pictures, describe(models / "pocket-blip", pictures)), pictures


def summarise(verdicts: list[Verdict]) -> dict[str, object]:
    """Counts, and every picture that was not what was asked for."""
    return {
        "pictures": len(verdicts),
        "concept_right": sum(v.concept_right for v in verdicts),
        "colour_right": sum(v.colour_right for v in verdicts),
        "wrong": [asdict(v) for v in verdicts if not (v.concept_right and v.colour_right)],
    }


def write_report(models: Path, out: Path, *, seed: int = 0) -> dict[str, dict[str, object]]:
    """Writes a contact sheet of every base, `pocket-concepts.webp` and `pocket-report.json` into `out`; the report's content."""
    out.mkdir(parents=True, exist_ok=True)
    report = {}
    for name, base, requests, file in (
        ("prompts", "pocket-sdxl", list(PROMPTS), "pocket-sdxl-contact.webp"),
        ("concepts", "pocket-sdxl", all_things(seed), "pocket-concepts.webp"),
        ("prompts, sd15", "pocket-sd15", list(PROMPTS), "pocket-sd15-contact.webp"),
        ("prompts, flux", "pocket-flux", list(PROMPTS), "pocket-flux-contact.webp"),
    ):
        verdicts, pictures = evaluate(models, requests, base=base, seed=seed)
        report[name] = summarise(verdicts)
        log.info("%s: %s", name, json.dumps(report[name]))
        labels = [request[0] for request in requests] if name == "concepts" else [v.prompt for v in verdicts]
        columns, side_px = (14, 64) if name == "concepts" else (6, 128)
        draw_sheet(pictures, labels, columns=columns, side_px=side_px).save(out / file, quality=88, method=6)
    (out / "pocket-report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description="Count what the pocket models can do, and draw their contact sheets.")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder with the bases and pocket-blip")
    parser.add_argument("--out", type=Path, default=MODELS.parents[1] / "docs" / "images", help="where sheets and report go")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write_report(given.models, given.out, seed=given.seed)
