"""Presets: settings that are known to work, with who says so, read from `presets/<method>/*.yaml`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from backends.contract.errors import DarkroomError
from backends.registry import PRESETS, find_backend

TASKS = ("subject", "style", "edit")
PLACEHOLDER = "{trigger_word}"


@dataclass(frozen=True)
class Preset:
    """One recipe.

    `key` is `method/file`; `gpu_memory_gb` is 0 where no GPU is needed, else that of each of `gpus`; `minutes` were taken on
    `minutes_on` with as many `pictures` (or pairs); `why` says for each setting that differs from the default where it comes
    from; `values` are the settings that differ.
    """

    key: str
    name: str
    sentence: str
    task: str
    family: str
    method: str
    base_model: str
    gpu_memory_gb: float
    minutes: float
    minutes_on: str
    sources: tuple[str, ...] = ()
    why: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    order: int = 0
    gpus: int = 1
    pictures: int = 12

    @property
    def source(self) -> str:
        """Where its figures come from, as one text."""
        return "; ".join(self.sources)

    @property
    def backend(self) -> str:
        """`family/method`, as the registry names it."""
        return f"{self.family}/{self.method}"

    def values_for(self, trigger_word: str) -> dict[str, Any]:
        """Its settings for a data set with this trigger word, where the training knows of one."""
        knows = "trigger_word" in find_backend(self.backend).config.model_fields
        return fill_prompts({**self.values, **({"trigger_word": trigger_word} if knows else {})})


def fill_prompts(values: dict[str, Any]) -> dict[str, Any]:
    """The settings with the trigger word put into their prompts; without one, sample prompts that need it are left out."""
    word = str(values.get("trigger_word") or "").strip()
    filled = dict(values)
    if values.get("sample_prompts") is not None:
        prompts = values["sample_prompts"]
        lines = prompts.splitlines() if isinstance(prompts, str) else [str(p) for p in prompts]
        filled["sample_prompts"] = [line.replace(PLACEHOLDER, word) for line in lines if word or PLACEHOLDER not in line]
    if values.get("instance_prompt"):
        filled["instance_prompt"] = " ".join(str(values["instance_prompt"]).replace(PLACEHOLDER, word).split())
    return filled


def load_presets() -> list[Preset]:
    """All presets, in the order in which a person should meet them."""
    return list(_load(PRESETS))


def find_preset(key: str) -> Preset:
    """The preset of this key.

    Raises:
        DarkroomError: When there is none; names the nearest.
    """
    presets = {p.key: p for p in load_presets()}
    if key in presets:
        return presets[key]
    near = difflib.get_close_matches(key, presets, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(presets)}."
    raise DarkroomError(f"There is no preset “{key}”. {hint}")


@lru_cache(maxsize=4)
def _load(folder: Path) -> tuple[Preset, ...]:
    found = [read_preset(path) for path in sorted(folder.glob("*/*.yaml"))]
    return tuple(sorted(found, key=lambda p: (p.order, p.key)))


def read_preset(path: Path) -> Preset:
    """The preset in one file; its folder is its method.

    Raises:
        DarkroomError: When the file is not a preset; names the key that is wrong.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{path} cannot be read as a preset: {error}") from None
    needed = {"name", "sentence", "task", "family", "base_model", "gpu_memory_gb", "minutes", "minutes_on", "sources", "values"}
    known = needed | {"why", "order", "gpus", "pictures"}
    if not isinstance(document, dict) or needed - document.keys() or document.keys() - known:
        wrong = sorted((needed - document.keys()) | (document.keys() - known)) if isinstance(document, dict) else ["everything"]
        raise DarkroomError(f"{path.name} is not a preset; missing or unknown: {', '.join(wrong)}.")
    if document["task"] not in TASKS:
        raise DarkroomError(f"{path.name}: task is {document['task']}; it must be one of {', '.join(TASKS)}.")
    values = {"pretrained_model_name_or_path": document["base_model"], **document["values"]}
    why = {name: " ".join(text.split()) for name, text in (document.get("why") or {}).items()}
    rest = {k: document[k] for k in known - {"values", "why", "sources"} if k in document}
    return Preset(
        key=f"{path.parent.name}/{path.stem}", method=path.parent.name, values=values, why=why, sources=tuple(document["sources"]), **rest
    )
