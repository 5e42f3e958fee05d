"""Another VAE than the base model's own: where it lies, and whether it fits. Torch-free."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.contract.base_models import MODELS, find_base_model
from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file

FIELD = "pretrained_vae_model_name_or_path"
_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(/(?P<subfolder>[\w./-]+))?")


@dataclass(frozen=True)
class VaeSource:
    """A folder with a VAE's config.json, one .safetensors file, or a name of the hub with the folder inside it, where one is given."""

    kind: Literal["folder", "file", "hub"]
    place: str
    subfolder: str = ""


def parse_vae_source(name: str) -> VaeSource:
    """Where the VAE lies that a person wrote: a folder (its own, or a base model's), FILE, owner/name or owner/name/folder.

    Raises:
        DarkroomError: When there is no such thing, or it is of no such form.
    """
    known = find_base_model(name)
    if known:
        if not known.bundled:
            return VaeSource("hub", known.source, "vae")
        name = str(MODELS / known.source.removeprefix("bundled:"))
    path = Path(name).expanduser()
    if path.is_dir():
        for folder in (path, path / "vae"):
            if (folder / "config.json").is_file():
                return VaeSource("folder", str(folder.resolve()))
        raise DarkroomError(f"The folder {name} holds no VAE: it has neither config.json nor vae/config.json.", field=FIELD)
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise DarkroomError(f"There is no file {name}. Check the path of the VAE, or leave the field empty.", field=FIELD)
        return VaeSource("file", str(path.resolve()))
    match = _HUB_ID.fullmatch(name)
    if match and not path.is_file():
        return VaeSource("hub", match["name"], match["subfolder"] or "")
    raise DarkroomError(
        f"“{name}” is no VAE. Give a folder with a config.json, one .safetensors file, or a Hugging Face name of the form owner/name "
        "(owner/name/folder where it lies in a folder).",
        field=FIELD,
    )


def check_vae(name: str, channels: int, base: str) -> VaeSource:
    """Where the VAE lies, after everything that can be known of it without loading.

    Args:
        name: What a person wrote.
        channels: Latent channels of the base model; 0 where they are not known.
        base: What the base model is called.

    Raises:
        DarkroomError: When it is no VAE, or of another model.
    """
    source = parse_vae_source(name)
    found = 0
    if source.kind == "file":
        file = read_model_file(Path(source.place), field=FIELD)
        if "vae" not in file.parts:
            raise DarkroomError(
                f"“{Path(name).name}” is {file.sentence}; a VAE is needed here. Choose a VAE, or leave the field empty.", field=FIELD
            )
        found = file.latent_channels
    elif source.kind == "folder":
        found = find_vae_channels(Path(source.place))
    check_channels(Path(name).name if source.kind != "hub" else name, found, channels, base)
    return source


def check_channels(label: str, found: int, wanted: int, base: str) -> None:
    """Refuses a VAE whose latents the base model cannot read; 0 stands for unknown.

    Raises:
        DarkroomError: With both numbers.
    """
    if found and wanted and found != wanted:
        raise DarkroomError(
            f"The VAE “{label}” makes latents with {found} channels; {base} reads {wanted}. Choose a VAE of the same family, or leave "
            "the field empty for the base model’s own.",
            field=FIELD,
        )


def find_vae_channels(folder: Path) -> int:
    """Latent channels that the folder's config.json speaks of, or 0 where it does not tell."""
    try:
        found = json.loads((folder / "config.json").read_text("utf-8")).get("latent_channels", 4)
    except (OSError, ValueError, AttributeError):
        return 0
    return found if isinstance(found, int) else 0
