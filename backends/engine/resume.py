"""Going on where a run stopped: which settings may have changed since, and which checkpoint is taken."""

from __future__ import annotations

from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine import checkpoint as checkpoints
from backends.engine.checkpoint import Checkpoint
from backends.engine.reporter import Reporter

# Settings that do not change what the steps so far have computed.
FREE = {
    *("max_train_steps", "num_train_epochs", "checkpointing_steps", "checkpoints_total_limit", "sample_every", "sample_prompts"),
    *("sample_seed", "num_sample_seeds", "sample_steps", "sample_guidance_scale", "validation_prompt", "num_validation_images"),
    *("validation_epochs", "log_every", "report_to", "logging_dir", "push_to_hub", "hub_model_id", "hub_token"),
    *("resume_from_checkpoint", "output_dir", "cache_dir", "cache_latents", "dataloader_num_workers", "early_stopping_patience"),
    *("debug_loss", "local_rank", "trigger_word", "enable_xformers_memory_efficient_attention", "gradient_checkpointing"),
    *("val_image", "num_sample_pairs", "sample_image_guidance_scale", "output_kohya_format", "instance_data_dir"),
    *("original_image_column", "edit_prompt_column", "edited_image_column"),
    *("train_data_dir", "dataset_name", "dataset_config_name", "image_column", "caption_column", "held_out_share"),
}


def find_resume(run: RunDir, wanted: str | None, reporter: Reporter) -> Checkpoint | None:
    """The checkpoint to go on from: none, the latest whole one, or the named one.

    Raises:
        DarkroomError: When the named one is not there or is damaged.
    """
    if not wanted:
        return None
    if wanted != "latest":
        return checkpoints.read_checkpoint(checkpoints.find_checkpoint(run, wanted))
    found, complaints = checkpoints.read_latest(run)
    for complaint in complaints:
        onward = f"Going on from step {found.step}." if found else "There is no earlier one: starting from the beginning."
        reporter.notice(f"{complaint} {onward}", "warning")
    if found is None and not complaints:
        reporter.notice("There is no checkpoint to resume from yet: starting from the beginning.")
    return found


def check_settings(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuses to go on with settings that would make the rest of the run another run.

    Raises:
        DarkroomError: Naming each setting with both values.
    """
    changed = [k for k in now if k not in FREE and k != "seed" and k in then and then[k] != now[k]]
    if now.get("seed") is not None and then.get("seed") != now["seed"]:
        changed.append("seed")
    if changed:
        listed = "; ".join(f"{k} was {then[k]}, is {now[k]}" for k in changed)
        raise DarkroomError(
            f"The run cannot go on with other settings ({listed}). Set them back, or start a new run. What may change: steps, "
            "saving, samples, tracking.",
            field=changed[0],
        )
