"""A base model, or a part of one, out of one .safetensors file, with the configs in assets/configs and without the internet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from safetensors import safe_open

from backends.contract.errors import DarkroomError
from backends.contract.model_file import FAMILY_NAMES, ModelFile, read_model_file
from backends.families.clip_tokenizer import build_tokenizer

FIELD = "pretrained_model_name_or_path"
_LDM_UNET = "model.diffusion_model."


def load_denoiser(path: Path, file: ModelFile, config: Path, *, dtype: torch.dtype) -> torch.nn.Module:
    """The UNet or transformer in a file.

    Args:
        path: The file.
        file: What its header says that it is.
        config: Folder of a whole model, in whose `unet` or `transformer` the architecture is described.
        dtype: Of its weights.

    Raises:
        DarkroomError: When it has another number of weights than that architecture.
    """
    name = "transformer" if file.family == "flux" else "unet"
    changes = (
        {"guidance_embeds": file.guided} if name == "transformer" else {"in_channels": file.latent_channels * (2 if file.edits else 1)}
    )
    kind = _read_class(config / name)
    _check_numbers(kind, config / name, changes, path, file)
    weights = _read_part(path, file.prefix, _LDM_UNET if file.layout == "ldm" and name == "unet" else "")
    module = kind.from_single_file(weights, config=str(config), subfolder=name, dtype=dtype, local_files_only=True, **changes)
    check_complete(module, path, name)
    return module


def load_file_vae(path: Path, config: Path, dtype: torch.dtype, *, field: str = FIELD) -> AutoencoderKL:
    """The VAE in a file, be it a VAE's own or a whole checkpoint's.

    Args:
        path: The file.
        config: Folder of a whole model of the same family.
        dtype: Of its weights.
        field: The setting that named the file.

    Raises:
        DarkroomError: When it is not complete.
    """
    file = read_model_file(path, field=field)
    prefixes = (file.prefix,) if file.kind == "vae" else ("first_stage_model.", "vae.")
    weights: dict[str, torch.Tensor] = {}
    for prefix in prefixes:
        weights = weights or _read_part(path, prefix, "")
    module = AutoencoderKL.from_single_file(weights, config=str(config), subfolder="vae", dtype=dtype, local_files_only=True)
    check_complete(module, path, "vae", field=field)
    return module


def load_whole_file(kind: type[Any], path: Path, file: ModelFile, config: Path, *, dtype: torch.dtype, **components: Any) -> Any:
    """The pipeline of a whole checkpoint.

    Args:
        kind: The pipeline's class.
        path: The file.
        file: What its header says that it is.
        config: Folder that describes its components.
        dtype: Of the weights.
        components: Those that are loaded already.

    Raises:
        DarkroomError: When a component is not complete.
    """
    index = json.loads((config / "model_index.json").read_text("utf-8"))
    for name in ("tokenizer", "tokenizer_2"):
        if (index.get(name) or [None])[0]:
            components[name] = build_tokenizer(config / name)
    pipeline = kind.from_single_file(str(path), config=str(config), local_files_only=True, dtype=dtype, **components)
    for name in ("text_encoder", "text_encoder_2", "vae"):
        module = getattr(pipeline, name, None)
        if module is not None:
            check_complete(module, path, name)
    return pipeline


def tell_scheduler(pipeline: Any, file: ModelFile) -> None:
    """Gives the sampler what the file itself says of its noise, as checkpoints for v-prediction do."""
    if file.prediction_type:
        told: dict[str, Any] = {"prediction_type": file.prediction_type}
        if file.zero_snr:
            told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, **told)


def check_complete(module: torch.nn.Module, path: Path, name: str, *, field: str = FIELD) -> None:
    """Refuses a module of which the file had not every weight: what is missing has no numbers.

    Raises:
        DarkroomError: With the first that is missing.
    """
    missing = [n for n, p in module.named_parameters() if p.is_meta]
    if missing:
        raise DarkroomError(
            f"“{path.name}” is not complete: {len(missing)} weights of its {name} are missing, the first of them {missing[0]}. Fetch the "
            "file again, or choose another.",
            field=field,
        )


def _read_class(folder: Path) -> Any:
    return getattr(diffusers, json.loads((folder / "config.json").read_text("utf-8"))["_class_name"])


def _check_numbers(kind: Any, folder: Path, changes: Mapping[str, Any], path: Path, file: ModelFile) -> None:
    """Before a number is read: a model with other layers would load in part, or not at all."""
    config = json.loads((folder / "config.json").read_text("utf-8")) | changes
    with init_empty_weights():
        wanted = sum(tensor.numel() for tensor in kind.from_config(config).state_dict().values())
    if file.numbers != wanted:
        own, needed = (f"{number / 1e6:,.1f} million weights" for number in (file.numbers, wanted))
        raise DarkroomError(
            f"“{path.name}” is of another build than {FAMILY_NAMES[file.family]}: its {folder.name} has {own} instead of {needed}. "
            "Give its folder in the diffusers layout or its name on the hub, where its build is described.",
            field=FIELD,
        )


def _read_part(path: Path, prefix: str, new_prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, under other names; they stay on disk until they are used."""
    with safe_open(path, "pt") as file:
        return {new_prefix + name.removeprefix(prefix): file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
