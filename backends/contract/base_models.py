"""The base models that the studio knows by name, and how a name becomes a folder or a hub id. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.contract.errors import DarkroomError

MODELS = Path(__file__).resolve().parents[2] / "assets" / "models"
FIELD = "pretrained_model_name_or_path"
WITH = " + "  # between one file and where its missing parts come from
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


@dataclass(frozen=True)
class BaseModel:
    """What a person should know of a base model before choosing it.

    `size_gb` is the download in 10**9 bytes; `resolution` its native side in px; `bucket_step` the multiple of both
    sides; `guidance_scale` and `num_inference_steps` are where its pictures look best; of a `gated` one the hub asks for a token.
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
    gated: bool = False

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
            gated=True,
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
            gated=True,
        ),
    )
}


def find_base_model(name: str) -> BaseModel | None:
    """The known base model of this key or source, or None for somebody's own."""
    return BASE_MODELS.get(name) or next((m for m in BASE_MODELS.values() if m.source == name), None)


def is_bundled(name: str) -> bool:
    """Whether the base model of this key or source came with the studio."""
    base = find_base_model(name)
    return bool(base and base.bundled)


@dataclass(frozen=True)
class ModelSource:
    """Where a base model lies: a folder in the diffusers layout, one .safetensors file, or a name of the hub.

    `place` is an absolute path or owner/name; `rest` is where a file's missing parts come from.
    """

    kind: Literal["folder", "file", "hub"]
    place: str
    rest: ModelSource | None = None

    @property
    def text(self) -> str:
        """The source in one text, as `parse_source` reads it."""
        return f"{self.place}{WITH}{self.rest.text}" if self.rest else self.place

    @property
    def path(self) -> Path:
        """The folder or file."""
        return Path(self.place)

    @property
    def label(self) -> str:
        """Without the folders above it: what a person is told, and what a file that is passed on may say."""
        own = self.place if self.kind == "hub" else self.path.name
        return f"{own}{WITH}{self.rest.label}" if self.rest else own


def parse_source(name: str) -> ModelSource:
    """Where the base model lies that a person wrote: a known name, a folder, owner/name, FILE, or “FILE + where the rest is”.

    Raises:
        DarkroomError: When there is no such thing, or it is of no such form.
    """
    known = find_base_model(name)
    if known:
        return (
            ModelSource("folder", str(MODELS / known.source.removeprefix("bundled:")))
            if known.bundled
            else ModelSource("hub", known.source)
        )
    path = Path(name).expanduser()
    first, with_rest, rest = name.rpartition(WITH)
    if with_rest and not path.exists():
        return _join(_parse_place(first.strip()), rest.strip())
    return _parse_place(name)


def resolve_source(name: str) -> str:
    """The same as one text: a folder or file as an absolute path, or a hub id.

    Raises:
        DarkroomError: When there is no such thing, or it is of no such form.
    """
    return parse_source(name).text


def name_source(name: str) -> str:
    """A base model for the screen: a known one by its name, another without the folders above it."""
    known = find_base_model(name)
    if known:
        return known.name
    try:
        return parse_source(name).label
    except DarkroomError:
        return name


def _join(file: ModelSource, rest: str) -> ModelSource:
    other = parse_source(rest)
    if file.kind != "file" or other.kind == "file":
        raise DarkroomError(
            f"“{file.label}{WITH}{other.label}” cannot be put together: in front of the plus stands one .safetensors file, behind it a "
            "folder in the diffusers layout or a Hugging Face name of the form owner/name.",
            field=FIELD,
        )
    return ModelSource("file", file.place, other)


def _parse_place(name: str) -> ModelSource:
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise DarkroomError(
                f"The folder {name} has no model_index.json. A base model is a folder in the diffusers layout "
                "(model_index.json with unet/, vae/, text_encoder/ beside it), or one .safetensors file.",
                field=FIELD,
            )
        return ModelSource("folder", str(path.resolve()))
    if path.suffix.lower() in _WEIGHTS or path.is_file():
        return ModelSource("file", str(_check_weights(path).resolve()))
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/")):
        return ModelSource("hub", name)
    known_names = ", ".join(BASE_MODELS)
    raise DarkroomError(
        f"No base model is called “{name}”. Give one of {known_names}, a folder or a .safetensors file on this machine, "
        "or a Hugging Face name of the form owner/name.",
        field=FIELD,
    )


def _check_weights(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise DarkroomError(
            f"“{path.name}” is not a .safetensors file. Other formats can carry programs and are not read; most models are offered "
            "as .safetensors too: give that file, or a folder in the diffusers layout.",
            field=FIELD,
        )
    if not path.is_file():
        raise DarkroomError(f"There is no file {path}. Check the path, or choose another base model.", field=FIELD)
    return path
