"""What is wrong with a run's base model and VAE, as far as it can be known before loading and without asking the hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.contract.base_model_check import check_base_model
from backends.contract.base_models import FIELD, ModelSource, find_base_model
from backends.contract.config import Fault
from backends.contract.errors import DarkroomError
from backends.contract.hub_token import explain_gate, find_token
from backends.contract.settings.pictures import wants_pairs
from backends.contract.vae_source import FIELD as VAE_FIELD
from backends.contract.vae_source import parse_vae_source


def check_base(config: Any, faults: list[Fault]) -> bool:
    """Adds what is wrong; says whether there is such a base model for this training at all, be it in reach or not."""
    vae = config.pretrained_vae_model_name_or_path
    try:
        source = check_base_model(config.pretrained_model_name_or_path, config.family, edits=wants_pairs(config), vae=vae)
    except DarkroomError as error:
        faults.append(Fault(field=error.field or FIELD, text=error.text))
        return error.field == VAE_FIELD
    wanted = [(FIELD, place) for place in _places_on_hub(source)]
    if vae and (other := parse_vae_source(vae)).kind == "hub":
        wanted.append((VAE_FIELD, other.place))
    for field, place in wanted:
        if text := _out_of_reach(place, config.cache_dir):
            faults.append(Fault(field=field, text=text))
    return True


def is_offline() -> bool:
    """Whether the person has forbidden downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def is_cached(source: str, cache_dir: str | None = None) -> bool:
    """Whether a snapshot of this hub model lies in the download folder."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    folder = Path(cache_dir) if cache_dir else Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return any(folder.expanduser().glob(f"models--{source.replace('/', '--')}/snapshots/*/*"))


def _places_on_hub(source: ModelSource) -> Iterator[str]:
    """A model of the hub, or the one that a file's missing parts come from."""
    if source.kind == "hub":
        yield source.place
    if source.rest:
        yield from _places_on_hub(source.rest)


def _out_of_reach(place: str, cache_dir: str | None) -> str:
    """Why a model of the hub cannot be fetched, or an empty text; of gated ones only those are known here that the studio names."""
    if is_cached(place, cache_dir):
        return ""
    if is_offline():
        return (
            f"{place} is not on this machine and HF_HUB_OFFLINE forbids to fetch it. Choose Pocket, unset HF_HUB_OFFLINE, "
            "or give a folder that holds the model."
        )
    known = find_base_model(place)
    if known and known.gated and not find_token() and not os.environ.get("HF_ENDPOINT"):
        return explain_gate(known.name, place)
    return ""
