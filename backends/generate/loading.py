"""Which family a base model is of, and its drawing side, loaded."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from backends.contract.base_models import resolve_source
from backends.contract.drawing import PIPELINES, describe_base, find_folder, is_guided, read_pipeline_class
from backends.contract.errors import DarkroomError
from backends.families.loading import explain_load_error, load_pipeline
from backends.families.protocol import LoadOptions
from backends.generate.pipeline import DrawPipeline
from backends.registry import BACKENDS

_T5_SHORT = 256
"""What Flux models that were not distilled for guidance read of a prompt (schnell)."""


def load_draw_pipeline(base_model: str) -> DrawPipeline:
    """The base model of this name, on the GPU where there is one.

    Raises:
        DarkroomError: When it cannot be found or reached, or is of a family that nothing here draws with.
    """
    try:
        source = resolve_source(base_model)
        facts = describe_base(base_model)
        pipeline_class = read_pipeline_class(find_folder(base_model)) or _ask_hub(source)
        family = load_family_class(facts.family or PIPELINES.get(pipeline_class, ""), source, pipeline_class)
        cuda = torch.cuda.is_available()
        options = LoadOptions(
            source=source,
            device=torch.device("cuda" if cuda else "cpu"),
            dtype=family.draw_dtype if cuda else torch.float32,
            max_sequence_length=512 if is_guided(base_model, find_folder(base_model)) else _T5_SHORT,
        )
        kind = family.edit_kind if facts.edits else family.kind
        pipeline = load_pipeline(kind, options, denoiser=family.denoiser_name)
    except DarkroomError as error:
        raise DarkroomError(error.text, field="base_model") from error
    if pipeline.vae.config.sample_size > 256:
        pipeline.vae.enable_slicing()  # decoding a batch of large pictures at once needs more memory than drawing it
    return DrawPipeline(family(pipeline, options), facts.name, base_model)


def load_family_class(family: str, source: str, pipeline_class: str = "") -> Any:
    """The class of a family by its name.

    Raises:
        DarkroomError: When there is none.
    """
    path = next((b.family_class for b in BACKENDS.values() if b.family == family), "")
    if not path:
        what = f"is a {pipeline_class}" if pipeline_class else "does not say what it is"
        raise DarkroomError(f"“{source}” {what}; pictures are drawn with models of SD 1.5, SDXL and Flux. Choose one of them.")
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _ask_hub(source: str) -> str:
    try:
        with open(hf_hub_download(source, "model_index.json"), encoding="utf-8") as file:
            return str(json.load(file).get("_class_name", ""))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise explain_load_error(error, source, "base_model") from error
