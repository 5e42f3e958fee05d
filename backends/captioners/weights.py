"""Where a captioner's name leads, and bringing its files here: told while it lasts, refused in plain sentences."""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from tqdm.auto import tqdm

from backends.contract.base_models import MODELS
from backends.contract.captioning import BUNDLED, CAPTIONERS, SCORERS
from backends.contract.errors import DarkroomError

Tell = Callable[[str], None]
WAY_OUT = "The captioner pocket-blip came with the studio and needs no internet."
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_SMALL = ["*.json", "*.txt", "*.model", "*.jinja", "selected_tags.csv"]
_TELL_S = 1.0


def find_folder(name: str, *, offline: bool = False, tell: Tell = lambda text: None) -> Path:
    """The folder with the files of a captioner or scorer: bundled, a person's own, or the hub's, downloaded where they are not here.

    Args:
        name: pocket-blip, a folder, or owner/name of the hub.
        offline: Only what is on this machine.
        tell: Is given a sentence now and then while it downloads.

    Raises:
        DarkroomError: When it leads nowhere, or cannot be had; the sentence gives the size of the download.
    """
    source = resolve_name(name)
    if Path(source).is_dir():
        return Path(source)
    unreachable: tuple[type[Exception], ...] = (OSError, ValueError, HfHubHTTPError, *_network_errors())
    local = offline or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    try:
        if not local:
            tell(f"Asking huggingface.co for {name}")
        bars: Any = _bars(name, tell)
        told = Path(snapshot_download(source, allow_patterns=_SMALL, local_files_only=local, tqdm_class=bars))
        # Taggers lie there in two forms, of which one is used.
        weights = "model.onnx" if (told / "selected_tags.csv").is_file() else "model*.safetensors"
        return Path(snapshot_download(source, allow_patterns=[*_SMALL, weights], local_files_only=local, tqdm_class=bars))
    except unreachable as error:
        raise DarkroomError(explain_unreachable(name, error, offline=local), field="captioner") from None


def resolve_name(name: str) -> str:
    """A local folder or a hub id for what a person wrote.

    Raises:
        DarkroomError: When it is neither a known name, nor a model's folder, nor of the form owner/name.
    """
    if name == BUNDLED:
        return str(MODELS / BUNDLED)
    path = Path(name).expanduser()
    if path.is_dir():
        if not any((path / file).is_file() for file in ("config.json", "selected_tags.csv")):
            raise DarkroomError(f"The folder {name} has no config.json and no selected_tags.csv: it is no captioner's.", field="captioner")
        return str(path.resolve())
    if _HUB_ID.fullmatch(name) and ".." not in name:
        return name
    raise DarkroomError(
        f"No captioner is called “{name}”. Give pocket-blip, a model's folder on this machine, or a Hugging Face "
        "name such as Salesforce/blip-image-captioning-base.",
        field="captioner",
    )


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """The config.json of a model's folder; empty where there is none.

    Raises:
        DarkroomError: When it is not JSON.
    """
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise DarkroomError(f"The captioner “{name}” has a config.json that is not JSON.", field="captioner")
    return config


def explain_unreachable(name: str, error: Exception, *, offline: bool) -> str:
    """Why a model of the hub could not be had, how large it is, and the way out."""
    reasons = [error, error.__cause__, error.__context__]
    if any(isinstance(e, GatedRepoError) for e in reasons):
        return f"“{name}” asks for its licence to be accepted on huggingface.co, and for HF_TOKEN in the environment. {WAY_OUT}"
    if any(isinstance(e, RepositoryNotFoundError) for e in reasons):
        return f"There is no captioner “{name}” on huggingface.co, or it is private. Look at its spelling. {WAY_OUT}"
    if offline or any(isinstance(e, (LocalEntryNotFoundError, ConnectionError, *_network_errors())) for e in reasons):
        how = "and downloads are switched off" if offline else "and huggingface.co cannot be reached"
        known = CAPTIONERS.get(name) or SCORERS.get(name)
        size = (
            f" It is a download of {known.size_gb:g} GB: connect this machine once, or copy its folder here and name it." if known else ""
        )
        return f"“{name}” is not on this machine {how}.{size} {WAY_OUT}"
    return f"“{name}” could not be loaded from huggingface.co: {first_line(error)} {WAY_OUT}"


def explain_unusable(name: str, error: Exception) -> str:
    """Why files that are here make no captioner."""
    return f"The captioner “{name}” cannot be read: {first_line(error)} Its files may be incomplete: bring them anew. {WAY_OUT}"


def first_line(error: Exception) -> str:
    """The first line of an error, at most 200 characters, ending in a full stop."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return text if text.endswith((".", "!", "?")) else text + "."


def _bars(name: str, tell: Tell) -> type:
    """A tqdm that draws nothing and tells how many bytes of all files have come, at most once a second."""
    lock, last = threading.Lock(), [0.0]

    class Bar(tqdm):
        def __init__(self, *values: Any, **named: Any) -> None:
            self._bytes = named.get("unit") == "B"
            named.pop("name", None)
            super().__init__(*values, **{**named, "disable": False, "file": _Nowhere(), "mininterval": 3600})

        def update(self, n: float | None = 1) -> bool | None:
            done = super().update(n)
            with lock:
                now = time.monotonic()
                if self._bytes and self.total and now - last[0] >= _TELL_S:
                    last[0] = now
                    rate = self.n / max(1e-3, self.format_dict["elapsed"])
                    left = (self.total - self.n) / rate if rate else 0.0
                    tell(f"Downloading {name}: {self.n / 1e9:.2f} of {self.total / 1e9:.2f} GB, about {_span(left)} left")
            return done

    return Bar


def _network_errors() -> tuple[type[Exception], ...]:
    """What the hub's client raises when the connection breaks: none of them is an OSError. LAVIS' old client has others, which are."""
    try:
        return (importlib.import_module("httpx2").TransportError,)
    except ImportError:
        return ()


class _Nowhere:
    def write(self, text: str) -> None:
        """Bars are told, not drawn."""

    def flush(self) -> None:
        """There is nothing to flush."""


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
