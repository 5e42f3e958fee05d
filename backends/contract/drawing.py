"""What each family draws with, and what can be told of a base model before it is loaded. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.base_models import find_base_model, resolve_source
from backends.contract.errors import DarkroomError

SAMPLERS = {
    "default": "as the base model came",
    "ddim": "DDIM",
    "euler": "Euler",
    "euler_a": "Euler ancestral",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_karras": "DPM++ 2M Karras",
    "unipc": "UniPC",
}
SIDE_STEP = 8


@dataclass(frozen=True)
class FamilyDrawing:
    """How a family draws where its base model says nothing else.

    `samplers` are keys of `SAMPLERS`; both sides are multiples of `side_step` px; `edits` says whether a model of this family can be
    trained to edit pictures, `refines` whether the SDXL refiner reads its latents.
    """

    title: str
    samplers: tuple[str, ...]
    side_step: int
    resolution: int
    guidance_scale: float
    num_inference_steps: int
    edits: bool = False
    refines: bool = False


_DISCRETE, _FLOW = tuple(SAMPLERS), ("default", "euler", "dpmpp_2m", "unipc")
FAMILIES = {
    "sd15": FamilyDrawing("SD 1.5", _DISCRETE, 8, 512, 7.5, 30, edits=True),
    "sdxl": FamilyDrawing("SDXL", _DISCRETE, 8, 1024, 6.0, 30, edits=True, refines=True),
    "flux": FamilyDrawing("Flux", _FLOW, 16, 1024, 3.5, 28),
}
PIPELINES = {
    "StableDiffusionPipeline": "sd15",
    "StableDiffusionInstructPix2PixPipeline": "sd15",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLInstructPix2PixPipeline": "sdxl",
    "FluxPipeline": "flux",
}
"""Pipelines of diffusers, as a base model's model_index.json names them, and the family that each is of."""


@dataclass(frozen=True)
class BaseFacts:
    """What is known of a base model without loading it; `family` is empty where that takes a look into the hub.

    `reads_negative` is whether “leave out” means something to it; `edits` whether it edits pictures by itself.
    """

    name: str
    family: str
    resolution: int
    guidance_scale: float
    num_inference_steps: int
    samplers: tuple[str, ...] = _DISCRETE
    side_step: int = SIDE_STEP
    reads_negative: bool = True
    edits: bool = False


def describe_base(base_model: str) -> BaseFacts:
    """What is known of this base model, whatever way it is named. Never fails: a name that leads nowhere is told when it is loaded."""
    known, folder = find_base_model(base_model), find_folder(base_model)
    pipeline = read_pipeline_class(folder)
    family = known.family if known else PIPELINES.get(pipeline, "")
    usual = FAMILIES.get(family, FAMILIES["sdxl"])
    best = known or usual
    return BaseFacts(
        name=known.name if known else Path(base_model).name if folder else base_model,
        family=family,
        resolution=best.resolution if known else _native_side(folder) or best.resolution,
        guidance_scale=best.guidance_scale,
        num_inference_steps=best.num_inference_steps,
        samplers=usual.samplers if family else _DISCRETE,
        side_step=usual.side_step if family else SIDE_STEP,
        reads_negative=family != "flux" or not is_guided(base_model, folder),
        edits="InstructPix2Pix" in pipeline,
    )


def find_folder(base_model: str) -> Path | None:
    """Where the base model's files lie on this machine, or None: bundled, a folder, or fetched from the hub before."""
    try:
        source = resolve_source(base_model)
    except DarkroomError:
        return None
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache  # 0.2 s that only names of the hub cost

    try:
        found = try_to_load_from_cache(source, "model_index.json")
    except ValueError:  # no name that the hub could have
        return None
    return Path(found).parent if isinstance(found, str) else None


def read_pipeline_class(folder: Path | None) -> str:
    """The pipeline that a base model's folder is made for, or an empty text."""
    index = files.read_json(folder / "model_index.json") if folder else None
    return str(index.get("_class_name", "")) if isinstance(index, dict) else ""


def is_guided(base_model: str, folder: Path | None) -> bool:
    """Whether a Flux model was distilled to take its guidance as a number, so that it never draws without the words."""
    known = find_base_model(base_model)
    config: Any = files.read_json(folder / "transformer" / "config.json") if folder else None
    if isinstance(config, dict) and "guidance_embeds" in config:
        return bool(config["guidance_embeds"])
    return not known or known.guidance_scale > 0


def fit_size(width: int, height: int, *, resolution: int, step: int) -> tuple[int, int]:
    """The size to draw at for a picture of this size: its shape, the area that the model knows, sides multiples of `step`.

    Small pictures are drawn at the model's area too, because it has seen no others.
    """
    scale = (resolution * resolution / (width * height)) ** 0.5
    fitted = [min(4096, max(64, round(side * scale / step) * step)) for side in (width, height)]
    return fitted[0], fitted[1]


def _native_side(folder: Path | None) -> int | None:
    """The side that a base model was trained at, from its own settings."""
    if folder is None:
        return None
    vae: Any = files.read_json(folder / "vae" / "config.json")
    denoiser: Any = files.read_json(folder / "unet" / "config.json")
    if not isinstance(vae, dict) or not isinstance(denoiser, dict) or not isinstance(denoiser.get("sample_size"), int):
        return None
    return int(denoiser["sample_size"]) * 2 ** (len(vae.get("block_out_channels") or [0] * 4) - 1)
