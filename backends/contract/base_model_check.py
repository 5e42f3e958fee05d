"""Whether a base model can be what a training needs, as far as names, headers and small files on this machine tell. Torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backends.contract.base_models import FIELD, WITH, ModelSource, parse_source
from backends.contract.errors import DarkroomError
from backends.contract.model_file import FAMILY_NAMES, WHOLE, ModelFile, read_model_file
from backends.contract.vae_source import check_vae, find_vae_channels

# Pipelines by the name in model_index.json -> family, and whether they edit pictures.
PIPELINES = {
    "StableDiffusionPipeline": ("sd15", False),
    "StableDiffusionImg2ImgPipeline": ("sd15", False),
    "StableDiffusionInstructPix2PixPipeline": ("sd15", True),
    "StableDiffusionXLPipeline": ("sdxl", False),
    "StableDiffusionXLInstructPix2PixPipeline": ("sdxl", True),
    "StableDiffusionXLImg2ImgPipeline": ("sdxl-refiner", False),
    "FluxPipeline": ("flux", False),
}
_ORIGINALS = {
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sdxl-refiner": "stabilityai/stable-diffusion-xl-refiner-1.0",
}
_VAES = {"sd15": "stabilityai/sd-vae-ft-mse", "sdxl": "madebyollin/sdxl-vae-fp16-fix", "sdxl-refiner": "madebyollin/sdxl-vae-fp16-fix"}
_CHANNELS = {"sd15": 4, "sdxl": 4, "sdxl-refiner": 4, "flux": 16}


def check_base_model(name: str, family: str, *, edits: bool = False, vae: str | None = None) -> ModelSource:
    """Where the base model lies, after everything that can be known of it without loading and without the internet.

    Args:
        name: What a person wrote as base model.
        family: What the training is for: sd15, sdxl or flux (or sdxl-refiner).
        edits: Whether it learns edits, so that a base which edits already may be gone on with.
        vae: What a person wrote as another VAE.

    Raises:
        DarkroomError: When it cannot be used for this; says why and what to do.
    """
    source = parse_source(name)
    file = None
    if source.kind == "file":
        file = read_model_file(source.path)
        check_file(file, source, family, edits=edits, has_vae=bool(vae))
        if source.rest and source.rest.kind == "folder":
            check_index(read_index(source.rest.path), source.rest.label, family, edits=True)
    elif source.kind == "folder":
        check_index(read_index(source.path), source.label, family, edits=edits)
    if vae:
        check_vae(vae, find_channels(source, family, file), FAMILY_NAMES[family])
    return source


def check_file(file: ModelFile, source: ModelSource, family: str, *, edits: bool, has_vae: bool) -> None:
    """Refuses a file that cannot be this family's base model.

    Args:
        file: What the file is.
        source: Where it lies, and what its missing parts come from.
        family: What is needed.
        edits: Whether a base that edits already may be used.
        has_vae: Whether another VAE is named.

    Raises:
        DarkroomError: When it is of another family or kind, or lacks parts that nothing else was named for.
    """
    name, wanted = source.path.name, FAMILY_NAMES[family]
    if file.kind == "lora":
        raise _refuse(
            f"“{name}” is a LoRA; a base model is needed here. Name the model that it was made for; LoRAs are drawn with on Generate."
        )
    if file.kind == "vae":
        raise _refuse(f"“{name}” is a VAE, only a part of a base model. Name it under “Another VAE”, and a base model of {wanted} here.")
    if file.family != family:
        raise _refuse(f"“{name}” is {file.sentence}; {wanted} is needed here. {_suggest(file, family)}")
    if file.edits and not edits:
        raise _refuse(
            f"“{name}” is {file.sentence}: it wants a picture beside the words. Choose a plain {wanted}, or the training instruct_pix2pix."
        )
    if source.rest is None:
        _check_parts(file, name, family, has_vae=has_vae)
    elif file.whole:
        raise _refuse(f"“{name}” is a whole checkpoint; nothing must come from “{source.rest.label}”. Give the file alone.")


def _check_parts(file: ModelFile, name: str, family: str, *, has_vae: bool) -> None:
    missing = WHOLE.get(family, frozenset({"text_encoder", "text_encoder_2", "vae"})) - file.parts
    if missing == {"vae"} and not has_vae:
        raise _refuse(f"“{name}” has no VAE inside. Name one under “Another VAE”, for example {_VAES[family]}.")
    if missing - {"vae"}:
        original = _ORIGINALS.get(family, f"black-forest-labs/FLUX.1-{'dev' if file.guided else 'schnell'}")
        has = "the transformer" if family == "flux" else "the UNet" if file.kind == "denoiser" else "a part"
        lacking = "the text encoders must" if "vae" in file.parts else "the text encoders and the VAE must"
        raise _refuse(
            f"“{name}” holds only {has} of {FAMILY_NAMES[family]}; {lacking} come from elsewhere. "
            f"Write where behind a plus: “{name}{WITH}{original}”, or a folder in the place of that name."
        )


def _suggest(file: ModelFile, family: str) -> str:
    if file.family == "sdxl-refiner":
        return "The refiner only polishes what the base drew: choose the base here, and the refiner on Generate."
    if file.family in FAMILY_NAMES:
        return f"Choose a file of {FAMILY_NAMES[family]}, or a training for {FAMILY_NAMES[file.family]}."
    return f"Choose a file of {FAMILY_NAMES[family]}."


def read_index(folder: Path) -> dict[str, Any]:
    """A folder's model_index.json.

    Raises:
        DarkroomError: When it is damaged.
    """
    try:
        found = json.loads((folder / "model_index.json").read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise _refuse(f"model_index.json of “{folder.name}” is damaged. Fetch the base model anew.")
    return found


def check_index(index: dict[str, Any], label: str, family: str, *, edits: bool) -> None:
    """Refuses a pipeline that is not of this family.

    Args:
        index: What its model_index.json says.
        label: What the person is told it is called.
        family: What is needed.
        edits: Whether a base that edits already may be used.

    Raises:
        DarkroomError: When it is of another family or kind.
    """
    kind = str(index.get("_class_name", ""))
    found, does_edit = PIPELINES.get(kind, ("", False))
    if found == "sdxl-refiner" and (index.get("text_encoder") or [None])[0]:
        found = "sdxl"  # a base that was saved by the pipeline for pictures
    if found != family:
        what = FAMILY_NAMES.get(found) or kind or "model of unknown kind"
        a = "an" if what.startswith("SD") else "a"
        raise _refuse(f"“{label}” is {a} {what}; {FAMILY_NAMES[family]} is needed here. {_suggest(ModelFile('checkpoint', found), family)}")
    if does_edit and not edits:
        raise _refuse(
            f"“{label}” edits pictures: it wants one beside the words. Choose a plain {FAMILY_NAMES[family]}, or the training "
            "instruct_pix2pix."
        )


def find_channels(source: ModelSource, family: str, file: ModelFile | None = None) -> int:
    """Latent channels of a base model; of one that is not on this machine those that its family has."""
    if file and file.latent_channels:
        return file.latent_channels
    if source.kind == "folder":
        return find_vae_channels(source.path / "vae")
    return _CHANNELS[family]


def _refuse(text: str) -> DarkroomError:
    return DarkroomError(text, field=FIELD)
