"""A LoRA really trained by the trainer on the bundled pictures, small enough for a test."""

from __future__ import annotations

from backends.contract.config import parse_config
from backends.contract.launch import LaunchSettings
from backends.contract.methods.text_to_image import TextToImageConfig
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.presets import find_preset
from studio.runs.store import RunInfo, RunStore
from studio.workspace import Workspace

PROMPTS = ["zog on a red background", "zog on a blue background", "a cat on a green background"]


def create_small_run(
    workspace: Workspace, name: str, *, steps: int = 40, dataset_id: str = "", launch: LaunchSettings | None = None
) -> RunInfo:
    """A run of the pocket model that is not started yet; samples and checkpoints twice."""
    preset = find_preset("text_to_image/pocket_subject")
    values = {
        **preset.values,
        "max_train_steps": steps,
        "checkpointing_steps": steps // 2,
        "sample_every": steps // 2,
        "held_out_every": 10,
    }
    values |= {"sample_prompts": PROMPTS, "sample_steps": 4, "trigger_word": "zog", "log_every": 1, "seed": 1, "report_to": "none"}
    config = parse_config(TextToImageConfig, values)
    dataset_id = dataset_id or create_sample_dataset(DatasetStore(workspace), "zog").id
    return RunStore(workspace).create(
        dataset_id=dataset_id, preset_key=preset.key, name=name, backend="sdxl/text_to_image", config=config, launch=launch
    )
