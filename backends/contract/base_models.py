"""The base models that the studio knows by name, and how a name becomes a folder or a hub id. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.contract.errors import DarkroomError

MODELS = Path(__file__).resolve().parents[2] / "assets" / "models"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class BaseModel:
    """What a person should know of a base model before choosing it.

    `size_gb` is the download in 10**9 bytes; `resolution` its native side in px; `bucket_step` the multiple of both
    sides; `guidance_scale` and `num_inference_steps` are where its pictures look best.
    """

    key: str
    name: str
    family: str
    source: str
    size_gb: float
    licence: str
    licence_url: str
    resolution: int
    bucket_step: int
    guidance_scale: float
    num_inference_steps: int
    sentence: str

    @property
    def bundled(self) -> bool:
        """Whether it came with the studio and needs no internet."""
        return self.source.startswith("bundled:")


BASE_MODELS: dict[str, BaseModel] = {
    m.key: m
    for m in (
        BaseModel(
            key="pocket-sdxl",
            name="Pocket",
            family="sdxl",
            source="bundled:pocket-sdxl",
            size_gb=0.02,
            licence="MIT and Apache-2.0",
            licence_url="",
            resolution=128,
            bucket_step=32,
            guidance_scale=3.0,
            num_inference_steps=20,
            sentence="The small model that came with the studio. Knows 123 things at 128 px and trains without a GPU.",
        ),
        BaseModel(
            key="pocket-sd15",
            name="Pocket 1.5",
            family="sd15",
            source="bundled:pocket-sd15",
            size_gb=0.02,
            licence="MIT and Apache-2.0",
            licence_url="",
            resolution=128,
            bucket_step=32,
            guidance_scale=3.0,
            num_inference_steps=20,
            sentence="Small and of the same build as SD 1.5. Knows 50 things at 128 px; learns edits without a GPU.",
        ),
        BaseModel(
            key="pocket-flux",
            name="Pocket Flux",
            family="flux",
            source="bundled:pocket-flux",
            size_gb=0.02,
            licence="MIT and Apache-2.0",
            licence_url="",
            resolution=128,
            bucket_step=32,
            guidance_scale=3.5,
            num_inference_steps=20,
            sentence="Small and of the same build as Flux. Knows 50 things at 128 px and trains without a GPU.",
        ),
        BaseModel(
            key="sd15",
            name="SD 1.5",
            family="sd15",
            source="stable-diffusion-v1-5/stable-diffusion-v1-5",
            size_gb=4.3,
            licence="CreativeML OpenRAIL-M",
            licence_url="https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5",
            resolution=512,
            bucket_step=64,
            guidance_scale=7.5,
            num_inference_steps=30,
            sentence="Old, small and open. Trains on a GPU with 8 GB; whole, for edits, with 24 GB.",
        ),
        BaseModel(
            key="sdxl",
            name="SDXL 1.0",
            family="sdxl",
            source="stabilityai/stable-diffusion-xl-base-1.0",
            size_gb=6.9,
            licence="CreativeML Open RAIL++-M",
            licence_url="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
            resolution=1024,
            bucket_step=64,
            guidance_scale=6.0,
            num_inference_steps=30,
            sentence="The open model that most people fine-tune. Needs a GPU with 12 GB or more.",
        ),
        BaseModel(
            key="flux-dev",
            name="Flux dev",
            family="flux",
            source="black-forest-labs/FLUX.1-dev",
            size_gb=33.7,
            licence="FLUX.1 [dev] Non-Commercial License",
            licence_url="https://huggingface.co/black-forest-labs/FLUX.1-dev",
            resolution=1024,
            bucket_step=64,
            guidance_scale=3.5,
            num_inference_steps=28,
            sentence="The strongest of them; not for commercial use. Needs a GPU with 12 GB stored small, 24 GB or more else.",
        ),
        BaseModel(
            key="flux-schnell",
            name="Flux schnell",
            family="flux",
            source="black-forest-labs/FLUX.1-schnell",
            size_gb=33.7,
            licence="Apache-2.0",
            licence_url="https://huggingface.co/black-forest-labs/FLUX.1-schnell",
            resolution=1024,
            bucket_step=64,
            guidance_scale=0.0,
            num_inference_steps=4,
            sentence="Flux in four steps, free for every use. Harder to fine-tune than dev; needs as much memory.",
        ),
    )
}


def find_base_model(name: str) -> BaseModel | None:
    """The known base model of this key or source, or None for somebody's own."""
    return BASE_MODELS.get(name) or next((m for m in BASE_MODELS.values() if m.source == name), None)


def resolve_source(name: str) -> str:
    """A local folder as an absolute path, or a hub id, for what a person wrote as base model.

    Raises:
        DarkroomError: When it is neither a known name, nor a folder that exists, nor of the form owner/name.
    """
    known = find_base_model(name)
    if known:
        return str(MODELS / known.source.removeprefix("bundled:")) if known.bundled else known.source
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise DarkroomError(
                f"The folder {name} has no model_index.json. A base model is a folder in the diffusers layout "
                "(model_index.json with unet/, vae/, text_encoder/ beside it).",
                field="pretrained_model_name_or_path",
            )
        return str(path.resolve())
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/")):
        return name
    known_names = ", ".join(BASE_MODELS)
    raise DarkroomError(
        f"No base model is called “{name}”. Give one of {known_names}, a folder on this machine, "
        "or a Hugging Face name of the form owner/name.",
        field="pretrained_model_name_or_path",
    )
