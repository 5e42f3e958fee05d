"""What a file of weights is: a LoRA, a whole model, or a whole model that edits; told by its header. Torch-free."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.contract.adapter_file import AdapterHeader, read_adapter_header
from backends.contract.base_models import find_base_model
from backends.contract.drawing import FAMILIES, describe_base
from backends.contract.errors import DarkroomError

Kind = Literal["lora", "model", "edit"]
_ARCHITECTURES = {"stable-diffusion-v1": "sd15", "stable-diffusion-xl": "sdxl", "flux-1": "flux"}
_TITLES = {"SD 1.5": "sd15", "SDXL": "sdxl", "Flux or another transformer": "flux"}


@dataclass(frozen=True)
class ResultFacts:
    """What a file says of itself.

    `kind` is lora, model (all weights of what predicts) or edit (the same, and it sees a second picture); `family` is empty where the
    file does not tell; `base_model` is what its training started from, as that training named it, without folders.
    """

    kind: Kind
    family: str
    base_model: str
    trigger_word: str
    made_for: str

    @property
    def whole(self) -> bool:
        """Whether it holds all weights, so that it stands in the base model's place."""
        return self.kind != "lora"

    @property
    def origin(self) -> str:
        """What it was trained from, for a person: the base model by its name, else the family; empty where it does not tell."""
        base = find_base_model(self.base_model)
        if base:
            return base.name
        title = FAMILIES[self.family].title if self.family else self.made_for
        return f"{self.base_model} ({title})" if self.base_model and title else self.base_model or title


def describe_result(header: AdapterHeader) -> ResultFacts:
    """What the file of this header is."""
    notes, tensors = header.metadata, header.tensors
    made_for = header.made_for
    kind: Kind = "lora"
    if "darkroom.component" in notes or {"conv_in.weight", "conv_out.weight"} <= tensors.keys():
        kind = "edit" if _sees_two_pictures(header) else "model"
        made_for = made_for or ("SDXL" if "add_embedding.linear_1.weight" in tensors else "")
    told = notes.get("modelspec.architecture", "")
    family = next((f for start, f in _ARCHITECTURES.items() if told.startswith(start)), "") or _TITLES.get(made_for, "")
    base = _recipe_base(notes) or notes.get("ss_sd_model_name", "")
    return ResultFacts(kind, family, base, notes.get("modelspec.trigger_phrase", ""), made_for)


def read_result(path: Path) -> tuple[AdapterHeader, ResultFacts]:
    """The checked header of a file of weights, and what it is.

    Raises:
        DarkroomError: When the file is missing, damaged, or a checkpoint in one file, which is a base model.
    """
    header = read_adapter_header(path)
    if any(key.startswith(("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")) for key in header.tensors):
        raise DarkroomError(
            f"“{path.name}” is a whole checkpoint with its own text encoder and VAE. Give it as the base model instead.", field="loras"
        )
    return header, describe_result(header)


def check_family(path: Path, base_model: str) -> None:
    """Refuses a result of another family than the base model's where both tell theirs, before gigabytes are loaded to see it.

    Raises:
        DarkroomError: When it cannot fit, or is no result at all.
    """
    _, facts = read_result(path)
    base = describe_base(base_model)
    if facts.family and base.family and facts.family != base.family:
        raise describe_misfit(path, facts, base.name)


def describe_misfit(path: Path, facts: ResultFacts, base_name: str, *, unread: str = "") -> DarkroomError:
    """Why a result does not fit a base model, and the way out; `unread` says what of its layout is not known, where that is why."""
    if facts.whole:
        origin = facts.origin or "another model"
        way_out = f"Choose {origin} as the base model, or" if facts.base_model else "Choose the base model that it was trained from, or"
        text = f"“{path.name}” holds all weights of a model made from {origin}; they do not fit {base_name}. "
        return DarkroomError(f"{text}{way_out} a result that was trained from {base_name}.", field="loras")
    reason = unread or "was made for another model, or in a layout that is not known here"
    if not unread and facts.origin and facts.origin != base_name:
        reason = f"was made for {facts.origin}"
    text = f"“{path.name}” {reason}; it does not fit {base_name}. Choose a LoRA that was trained from {base_name}."
    return DarkroomError(text, field="loras")


def _sees_two_pictures(header: AdapterHeader) -> bool:
    first, last = header.tensors.get("conv_in.weight"), header.tensors.get("conv_out.weight")
    return bool(first and last and len(first.shape) == 4 and first.shape[1] == 2 * last.shape[0])


def _recipe_base(notes: dict[str, str]) -> str:
    try:
        recipe = json.loads(notes.get("darkroom.recipe", "{}"))
        return str(recipe["config"]["pretrained_model_name_or_path"] or "")
    except (ValueError, TypeError, KeyError):
        return ""
