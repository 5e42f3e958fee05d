"""From a name to a loaded captioner or scorer: what its files say that it is decides. Torch is imported with the model, not before."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

from backends.captioners.protocol import Captioner, Scorer
from backends.captioners.weights import Tell, explain_unusable, find_folder, read_config
from backends.contract.captioning import LAVIS
from backends.contract.errors import DarkroomError

log = logging.getLogger(__name__)
TAGS = "tags"
# model_type of config.json -> module and class
WRITERS = {
    "blip": ("blip", "Blip"),
    "blip-2": ("blip2", "Blip2"),
    "florence2": ("florence2", "Florence2"),
    "qwen2_vl": ("qwen_vl", "QwenVl"),
    "qwen2_5_vl": ("qwen_vl", "QwenVl"),
    "qwen3_vl": ("qwen_vl", "QwenVl"),
    TAGS: ("tags", "Tagger"),
}
MATCHING = "BlipForImageTextRetrieval"


def load_captioner(name: str, *, offline: bool = False, tell: Tell = lambda text: None) -> Captioner:
    """The captioner of this name: pocket-blip, a folder, owner/name of the hub, or a LAVIS model inside LAVIS' environment.

    Raises:
        DarkroomError: When it cannot be found or reached, or is another kind of model.
    """
    if name.startswith(LAVIS):
        return _make("lavis.models", "LavisCaptioner", name, name.removeprefix(LAVIS))
    folder = find_folder(name, offline=offline, tell=tell)
    kind = read_kind(folder, name)
    if kind not in WRITERS:
        raise DarkroomError(
            f"The model “{name}” is of the kind “{kind}”; a captioner is of the kind {', '.join(k for k in WRITERS if k != TAGS)}, or a "
            "tagger with model.onnx and selected_tags.csv.",
            field="captioner",
        )
    tell(f"Loading {Path(name).name}")
    return _make(*WRITERS[kind], name, folder)


def load_scorer(name: str, *, offline: bool = False, tell: Tell = lambda text: None) -> Scorer:
    """The scorer of this name: a BLIP with the matching head, one that writes captions, or a LAVIS model.

    Raises:
        DarkroomError: As for captioners.
    """
    if name.startswith(LAVIS):
        return _make("lavis.models", "LavisScorer", name, name.removeprefix(LAVIS))
    folder = find_folder(name, offline=offline, tell=tell)
    if (kind := read_kind(folder, name)) != "blip":
        raise DarkroomError(
            f"The model “{name}” is of the kind “{kind}”; captions are scored by one of the kind “blip”.", field="captioner"
        )
    tell(f"Loading {Path(name).name}")
    heads = read_config(folder, name).get("architectures") or []
    return _make("blip", "BlipMatching" if MATCHING in heads else "Blip", name, folder)


def read_kind(folder: Path, name: str) -> str:
    """Which kind of captioner the files are: the model_type of config.json, or `tags`."""
    kind = str(read_config(folder, name).get("model_type", ""))
    return TAGS if not kind and (folder / "selected_tags.csv").is_file() else kind


def _make(module: str, kind: str, name: str, source: Path | str) -> Any:
    try:
        return getattr(importlib.import_module(f"backends.captioners.{module}"), kind)(source)
    except _refusals() as error:
        if isinstance(error, RuntimeError) and "out of memory" in str(error).lower():
            raise
        log.exception("captioner %s", name)
        raise DarkroomError(explain_unusable(name, error), field="captioner") from None


def _refusals() -> tuple[type[Exception], ...]:
    """What loading raises where files are torn or of another kind; safetensors is not in LAVIS' environment, which reads none."""
    known = (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError)
    try:
        return (*known, importlib.import_module("safetensors").SafetensorError)
    except ImportError:
        return known
