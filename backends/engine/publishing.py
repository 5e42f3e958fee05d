"""Publishing a finished LoRA on the hub; the token comes from the environment and is written nowhere."""

from __future__ import annotations

import os
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine.reporter import Reporter


def check_publishing(config: Any) -> None:
    """Refuses before the training what would fail after it.

    Raises:
        DarkroomError: When publishing is on and there is no token.
    """
    if config.push_to_hub and not os.environ.get("HF_TOKEN"):
        raise DarkroomError(
            "Publish on the hub is on, but HF_TOKEN is not set. Start the studio with your token in HF_TOKEN, or switch publishing off.",
            field="push_to_hub",
        )


def publish(config: Any, run: RunDir, reporter: Reporter) -> None:
    """Uploads the LoRA; a failure is told and changes nothing of the run, whose file is safe on the disk."""
    if not config.push_to_hub:
        return
    from huggingface_hub import HfApi

    try:
        api = HfApi(token=os.environ["HF_TOKEN"])
        api.create_repo(config.hub_model_id, private=True, exist_ok=True)
        api.upload_file(path_or_fileobj=run.result, path_in_repo="pytorch_lora_weights.safetensors", repo_id=config.hub_model_id)
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        reporter.notice(f"The LoRA could not be published as {config.hub_model_id}: {first} It is in the run’s folder.", "warning")
        return
    reporter.notice(f"Published as {config.hub_model_id} (private; you can open it on the hub).")
