"""What stands in a LoRA's header: how it was made, for people and for other programs; never where it was made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backends.contract.config import Config
from backends.engine.adapters import Adapters
from backends.families.protocol import Family
from backends.methods.protocol import Item

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


class Recipe:
    """Builds the header of every LoRA file of one run."""

    def __init__(
        self, config: Any, *, backend: str, family: Family, adapters: Adapters, items: Sequence[Item], dataset_hash: str, seed: int
    ) -> None:
        self._family, self._adapters = family, adapters
        self._config: Any = config
        assert isinstance(config, Config)
        training = [item for item in items if not item.held_out]
        self._document: dict[str, Any] = {
            "backend": backend,
            "versions": read_versions(),
            "config": strip_paths({**config.model_dump(mode="json"), "seed": seed}),
            "dataset": {"hash": dataset_hash, "pictures": len(training), "held_out": len(items) - len(training)},
        }
        self._tags = Counter(item.caption for item in training)

    def header(self, step: int, heldout_loss: float | None) -> dict[str, str]:
        """Metadata of the LoRA at `step`, all text, in the keys that diffusers, A1111, ComfyUI and the model spec read."""
        c = self._config
        size = str(c.resolution)
        recipe = {**self._document, "step": step, "heldout_loss": heldout_loss}
        return {
            **self._family.metadata(),
            "lora_adapter_metadata": self._adapters.header(),
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(c.rank),
            "ss_network_alpha": f"{c.lora_alpha:g}",
            "ss_resolution": f"({size}, {size})",
            "ss_learning_rate": f"{c.learning_rate:g}",
            "ss_steps": str(step),
            "ss_seed": str(self._document["config"]["seed"]),
            "ss_num_train_images": str(self._document["dataset"]["pictures"]),
            "ss_tag_frequency": json.dumps({"captions": dict(self._tags.most_common(200))}, ensure_ascii=False),
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.title": c.trigger_word or "Darkroom LoRA",
            "modelspec.resolution": f"{size}x{size}",
            "modelspec.date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "modelspec.trigger_phrase": c.trigger_word,
            "darkroom.recipe": json.dumps(recipe, ensure_ascii=False),
        }
