"""What each family draws with, and what can be told of a base model before it is loaded. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.base_model_check import PIPELINES
from backends.contract.base_models import ModelSource, find_base_model, name_source, parse_source
from backends.contract.errors import DarkroomError
from backends.contract.model_file import ModelFile, read_model_file

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


@dataclass(frozen=True)
class BaseFacts:
    """What is known of a base model without loading it; `family` is empty where that takes a look into the hub.

    `reads_negative` is whether “leave out” means something to it; `edits` whether it edits pictures by itself; `guided` whether it is
    a Flux that was distilled to take its guidance as a number, so that it never draws without the words.
    """

    name: str
    family: str
    resolution: int
    guidance_scale: float
    num_inference_steps: int
    samplers: tuple[str, ...]
    side_step: int
    reads_negative: bool
    edits: bool
    guided: bool


@dataclass(frozen=True)
class _Look:
    """What files on this machine say of a base model; None is not known."""

    family: str = ""
    edits: bool = False
    guided: bool | None = None
    resolution: int | None = None


def describe_base(base_model: str) -> BaseFacts:
    """What is known of this base model, whatever way it is named. Never fails: a name that leads nowhere is told when it is loaded."""
    known = find_base_model(base_model)
    try:
        found = _look(parse_source(base_model))
    except DarkroomError:
        found = _Look()
    family = known.family if known else found.family
    usual = FAMILIES.get(family, FAMILIES["sdxl"])
    best = known or usual
    guided = family == "flux" and (found.guided if found.guided is not None else best.guidance_scale > 0)
    return BaseFacts(
        name=name_source(base_model),
        family=family if family in FAMILIES else "",
        resolution=best.resolution if known else found.resolution or best.resolution,
        guidance_scale=best.guidance_scale,
        num_inference_steps=best.num_inference_steps,
        samplers=usual.samplers if family else _DISCRETE,
        side_step=usual.side_step if family else SIDE_STEP,
        reads_negative=not guided,
        edits=found.edits,
        guided=guided,
    )


def name_publicly(base_model: str) -> str:
    """A base model in what is passed on: as it is named where everybody knows it, else without the folders above it."""
    return base_model if find_base_model(base_model) else name_source(base_model)


def _look(source: ModelSource) -> _Look:
    if source.kind == "file":
        stat = source.path.stat()
        file = _read_file(source.path, stat.st_mtime_ns, stat.st_size)
        return _Look(file.family, file.edits, file.guided if file.family == "flux" else None)
    folder = source.path if source.kind == "folder" else _find_cached(source.place)
    if folder is None:
        return _Look()
    index, transformer = files.read_json(folder / "model_index.json"), files.read_json(folder / "transformer" / "config.json")
    family, edits = PIPELINES.get(str(index.get("_class_name", "")), ("", False)) if isinstance(index, dict) else ("", False)
    guided = bool(transformer["guidance_embeds"]) if isinstance(transformer, dict) and "guidance_embeds" in transformer else None
    return _Look(family, edits, guided, _native_side(folder))


@lru_cache(maxsize=32)
def _read_file(path: Path, _changed: int, _size: int) -> ModelFile:
    return read_model_file(path)


def _find_cached(hub_id: str) -> Path | None:
    """Where a model of the hub lies that was fetched before."""
    from huggingface_hub import try_to_load_from_cache  # 0.2 s that only names of the hub cost

    try:
        found = try_to_load_from_cache(hub_id, "model_index.json")
    except ValueError:  # no name that the hub could have
        return None
    return Path(found).parent if isinstance(found, str) else None


def fit_size(width: int, height: int, *, resolution: int, step: int) -> tuple[int, int]:
    """The size to draw at for a picture of this size: its shape, the area that the model knows, sides multiples of `step`.

    Small pictures are drawn at the model's area too, because it has seen no others.
    """
    scale = (resolution * resolution / (width * height)) ** 0.5
    fitted = [min(4096, max(64, round(side * scale / step) * step)) for side in (width, height)]
    return fitted[0], fitted[1]


def _native_side(folder: Path) -> int | None:
    """The side that a base model was trained at, from its own settings."""
    vae: Any = files.read_json(folder / "vae" / "config.json")
    denoiser: Any = files.read_json(folder / "unet" / "config.json")
    if not isinstance(vae, dict) or not isinstance(denoiser, dict) or not isinstance(denoiser.get("sample_size"), int):
        return None
    return int(denoiser["sample_size"]) * 2 ** (len(vae.get("block_out_channels") or [0] * 4) - 1)
