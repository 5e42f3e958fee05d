"""Which family a base model is of, and its drawing side, loaded."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download

from backends.contract.base_model_check import PIPELINES
from backends.contract.base_models import ModelSource, parse_source
from backends.contract.drawing import describe_base
from backends.contract.errors import DarkroomError
from backends.families.hub_errors import Wanted, explaining
from backends.families.loading import load_pipeline
from backends.families.protocol import LoadOptions
from backends.generate.memory import plan_storage, settle
from backends.generate.pipeline import DrawPipeline
from backends.registry import BACKENDS

FIELD = "base_model"
_T5, _T5_SHORT = 512, 256
"""What T5 reads of a prompt: models that were distilled for guidance, and the others (schnell)."""


def load_draw_pipeline(base_model: str) -> DrawPipeline:
    """The base model of this name, on the GPU where there is one.

    Raises:
        DarkroomError: When it cannot be found or reached, or is of a family that nothing here draws with.
    """
    try:
        source, facts = parse_source(base_model), describe_base(base_model)
        kind = load_family_class(facts.family or _ask_hub(source), source.label)
        facts = describe_base(base_model)  # now that the hub was asked
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        options = LoadOptions(
            source=source.text,
            device=device,
            dtype=kind.draw_dtype if device.type == "cuda" else torch.float32,
            edits=True,
            quantize=plan_storage(kind.name, kind.denoiser_name, source, device),
            max_sequence_length=_T5 if facts.guided else _T5_SHORT,
        )
        family = kind(load_pipeline(kind.kind, options, denoiser=kind.denoiser_name), options)
    except DarkroomError as error:
        raise DarkroomError(error.text, field=FIELD) from error
    if family.vae.config.sample_size > 256:
        family.vae.enable_slicing()  # decoding a batch of large pictures at once needs more memory than drawing it
    return DrawPipeline(family, facts.name, base_model, notices=settle(family))


def load_family_class(family: str, label: str) -> Any:
    """The class of a family by its name.

    Raises:
        DarkroomError: When there is none.
    """
    path = next((b.family_class for b in BACKENDS.values() if b.family == family), "")
    if not path:
        raise DarkroomError(f"“{label}” is no base model of SD 1.5, SDXL or Flux, which pictures are drawn with. Choose one of them.")
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _ask_hub(source: ModelSource) -> str:
    """The family of a base model that is not on this machine; empty where the hub's answer is none that is known."""
    place = source.rest or source
    if place.kind != "hub":
        return ""
    with explaining(Wanted(place.label, FIELD)):
        index = json.loads(Path(hf_hub_download(place.place, "model_index.json")).read_text("utf-8"))
    return PIPELINES.get(str(index.get("_class_name", "")), ("", False))[0]
