"""How a base model finds room on a GPU: whole, with its text encoders on the CPU, or stored small."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

from backends.contract.base_models import ModelSource
from backends.contract.errors import DarkroomError
from backends.contract.model_file import read_model_file
from backends.contract.quantized import LINEAR_WEIGHTS

ROOM = 3 * 2**30
"""Bytes that drawing needs beside the weights: activations, latents, decoding."""
_SMALL = ("flux",)
_BYTES = 2


def choose_quantization(family: str, denoiser_bytes: int, free_bytes: int, *, installed: bool) -> str:
    """none, or nf4 where what predicts finds no room otherwise and its family is drawn with so.

    Args:
        family: sd15, sdxl or flux.
        denoiser_bytes: What it takes in 16 bit.
        free_bytes: Of the GPU.
        installed: Whether bitsandbytes is there.

    Raises:
        DarkroomError: When it would find room stored small, and the package is missing.
    """
    if family not in _SMALL or denoiser_bytes + ROOM <= free_bytes:
        return "none"
    if not installed:
        raise DarkroomError(
            f"This base model needs {(denoiser_bytes + ROOM) / 1e9:.0f} GB of GPU memory and {free_bytes / 1e9:.0f} GB are free. Install "
            "bitsandbytes (pip install bitsandbytes), so that it can be stored small, or choose a smaller one."
        )
    return "nf4"


def plan_storage(family: str, denoiser_name: str, source: ModelSource, device: torch.device) -> str:
    """How what predicts is stored on this device, before it is loaded."""
    if device.type != "cuda":
        return "none"
    free, _ = torch.cuda.mem_get_info(device)
    installed = importlib.util.find_spec("bitsandbytes") is not None
    return choose_quantization(family, measure_denoiser(family, denoiser_name, source), free, installed=installed)


def measure_denoiser(family: str, denoiser_name: str, source: ModelSource) -> int:
    """Bytes that what predicts takes in 16 bit; of a model that is not on this machine those of its family's original."""
    if source.kind == "file":
        return read_model_file(source.path).numbers * _BYTES
    files = list((Path(source.place) / denoiser_name).glob("*.safetensors")) if source.kind == "folder" else []
    return sum(path.stat().st_size for path in files) or LINEAR_WEIGHTS[family] * _BYTES


def settle(family: Any) -> list[str]:
    """Brings what predicts to its device, and sends the text encoders to the CPU where both find no room there.

    Returns:
        A sentence for each thing that is done otherwise than usual.
    """
    told = []
    device = family.encoder_device
    module: Any = family.denoiser()[1]
    if device.type == "cuda" and not family.quantized:
        need, (free, _) = sum(p.numel() * p.element_size() for p in module.parameters()), torch.cuda.mem_get_info(device)
        if need + ROOM > free:
            family.move_encoders(torch.device("cpu"))
    family.wake()
    if family.encoder_device.type == "cpu" and module.device.type == "cuda":
        told.append("The GPU has no room for the text encoders too: they read each prompt on the CPU, once.")
    if family.quantized:
        told.append("The GPU has no room for this base model in 16 bit, so it is stored in 4 bit (nf4): pictures differ a little.")
    return told
