"""Publishing what was learnt on the hub; the token comes from the environment or a private file and is written nowhere."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backends.contract.errors import DarkroomError
from backends.contract.hub_token import find_token
from backends.contract.rundir import LORA, RunDir
from backends.engine.export import export
from backends.engine.reporter import Reporter


def check_publishing(config: Any) -> None:
    """Refuses before the training what would fail after it.

    Raises:
        DarkroomError: When publishing is on and there is no token.
    """
    if config.push_to_hub and not find_token():
        raise DarkroomError(
            "Publish on the hub is on, but HF_TOKEN is not set. Start the studio with your token in HF_TOKEN, or switch publishing off.",
            field="push_to_hub",
        )


def publish(config: Any, run: RunDir, reporter: Reporter) -> None:
    """Uploads the LoRA, or the whole model; a failure is told and changes nothing of the run, whose file is safe on the disk."""
    if not config.push_to_hub:
        return
    from huggingface_hub import HfApi

    try:
        upload(HfApi(), config.hub_model_id, run)
    except (OSError, ValueError, DarkroomError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        reporter.notice(f"It could not be published as {config.hub_model_id}: {first} It is in the run’s folder.", "warning")
        return
    reporter.notice(f"Published as {config.hub_model_id} (private; you can open it on the hub).")


def upload(api: Any, name: str, run: RunDir) -> None:
    """A LoRA under the name that `load_lora_weights` looks for; all weights as the folder that `from_pretrained` opens."""
    api.create_repo(name, private=True, exist_ok=True)
    if run.result.name == LORA:
        api.upload_file(path_or_fileobj=run.result, path_in_repo="pytorch_lora_weights.safetensors", repo_id=name)
        return
    with TemporaryDirectory(dir=run.root) as scratch:
        folder = Path(scratch) / "model"
        export(run.result, folder, "folder")
        api.upload_folder(folder_path=folder, repo_id=name)
