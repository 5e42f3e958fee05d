"""The token for the hub: only from the environment or a private file; it is never a setting, an argument, or in a log. Torch-free.

huggingface_hub reads `HF_TOKEN`, else the file that `HF_TOKEN_PATH` names (by default its own, ~/.cache/huggingface/token). A
workspace may hold one as `hf_token`: its path, never its content, is handed to the trainers and workers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import MutableMapping
from pathlib import Path

from backends.contract.errors import DarkroomError

FILE = "hf_token"
_PATH = "HF_TOKEN_PATH"


def use_token_file(workspace: Path, environment: MutableMapping[str, str] | None = None) -> None:
    """Lets processes that are started with this environment find the workspace's token file, where there is one.

    Args:
        workspace: The folder that may hold `hf_token`.
        environment: This process's by default.

    Raises:
        DarkroomError: When others than its owner may read the file.
    """
    environment = os.environ if environment is None else environment
    path = workspace / FILE
    if not path.is_file() or environment.get("HF_TOKEN") or environment.get(_PATH):
        return
    check_private(path)
    environment[_PATH] = str(path)


def explain_gate(label: str, place: str) -> str:
    """What to do where a gated model (hub id `place`) is asked for without a token."""
    return (
        f"“{label}” is gated: its owners ask you to accept their licence first. Open https://huggingface.co/{place}, accept it, and start "
        "the studio with a token of yours in HF_TOKEN (huggingface.co/settings/tokens, the right to read is enough)."
    )


def check_private(path: Path) -> None:
    """Refuses a file that others may read.

    Raises:
        DarkroomError: With the command that mends it.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise DarkroomError(
            f"{path} holds your token for the hub and others may read it (mode {mode:04o}). Make it yours alone: chmod 600 {path}"
        )


def find_token(environment: MutableMapping[str, str] | None = None) -> str:
    """Where a token lies, HF_TOKEN or a file's path, or an empty text where there is none; never the token itself."""
    environment = os.environ if environment is None else environment
    if environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN"):
        return "HF_TOKEN"
    home = environment.get("HF_HOME") or str(Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    path = Path(environment.get(_PATH) or Path(home) / "token").expanduser()
    try:
        return str(path) if path.read_text("utf-8").strip() else ""
    except (OSError, UnicodeDecodeError):
        return ""
