"""What stands in a LoRA's header: how it was made, for people and for other programs; never where it was made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from backends.contract.config import Config

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate")
PRIVATE = {"output_dir", "cache_dir", "logging_dir", "resume_from_checkpoint", "hub_model_id", "local_rank"}


def read_versions() -> dict[str, str]:
    """Versions of the libraries that took part."""
    return {name: version(name) for name in PACKAGES}


def strip_paths(values: dict[str, Any]) -> dict[str, Any]:
    """Settings without what says where files lay on somebody's machine."""
    kept = {key: value for key, value in values.items() if key not in PRIVATE}
    return {
        key: Path(value).name if isinstance(value, str) and Path(value).expanduser().is_absolute() else value for key, value in kept.items()
    }


class Described(Protocol):
    """A family, as far as a header tells of it."""

    def metadata(self) -> dict[str, str]:
        """What other programs read about the base model."""


class Noted(Protocol):
    """What is trained, as far as a header tells of it."""

    def notes(self) -> dict[str, str]:
        """What it is."""


class Learnt(Protocol):
    """A sample, as far as a header tells of it."""

    @property
    def captions(self) -> dict[str, str]:
        """What is said of it."""

    @property
    def held_out(self) -> bool:
        """Whether it only judges."""


def describe_dataset(items: Sequence[Learnt], digest: str) -> dict[str, object]:
    """What a header says of the samples: their hash, and how many teach and judge."""
    held_out = sum(item.held_out for item in items)
    return {"hash": digest, "pictures": len(items) - held_out, "held_out": held_out}


class Recipe:
    """Builds the header of every file of weights of one run; `dataset` is as `describe_dataset` tells it."""

    def __init__(
        self,
        config: Any,
        *,
        backend: str,
        family: Described,
        trained: Noted,
        items: Sequence[Learnt],
        dataset: Mapping[str, object],
        seed: int,
        versions: dict[str, str] | None = None,
    ) -> None:
        self._family, self._trained = family, trained
        self._config: Any = config
        assert isinstance(config, Config)
        training = [item for item in items if not item.held_out]
        self._document: dict[str, Any] = {
            "backend": backend,
            "versions": read_versions() if versions is None else versions,
            "config": strip_paths({**config.model_dump(mode="json"), "seed": seed}),
            "dataset": dict(dataset),
        }
        self._tags = Counter(next(iter(item.captions.values())) for item in training)

    def header(self, step: int, heldout_loss: float | None) -> dict[str, str]:
        """Metadata of the file at `step`, all text, in the keys that diffusers, A1111, ComfyUI and the model spec read."""
        c = self._config
        size = str(c.resolution)
        recipe = {**self._document, "step": step, "heldout_loss": heldout_loss}
        family, notes = self._family.metadata(), self._trained.notes()
        lora = "ss_network_module" in notes
        trigger = str(getattr(c, "trigger_word", ""))
        return {
            **family,
            **notes,
            "modelspec.architecture": family["modelspec.architecture"] + ("/lora" if lora else ""),
            "ss_resolution": f"({size}, {size})",
            "ss_learning_rate": f"{c.learning_rate:g}",
            "ss_steps": str(step),
            "ss_seed": str(self._document["config"]["seed"]),
            "ss_num_train_images": str(self._document["dataset"]["pictures"]),
            "ss_tag_frequency": json.dumps({"captions": dict(self._tags.most_common(200))}, ensure_ascii=False),
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.title": trigger or ("Darkroom LoRA" if lora else "Darkroom model"),
            "modelspec.resolution": f"{size}x{size}",
            "modelspec.date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "modelspec.trigger_phrase": trigger,
            "darkroom.recipe": json.dumps(recipe, ensure_ascii=False),
        }
