"""Where everything of a person lives on disk, and the only way from an id to a path."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from backends.contract import files
from backends.contract.errors import DarkroomError

VERSION = 1
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Workspace:
    """One folder with data sets, runs, pictures and caches. Made by `open_workspace`."""

    root: Path

    @property
    def datasets(self) -> Path:
        """One folder a data set."""
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        """One folder a run (see `backends.contract.rundir`)."""
        return self.root / "runs"

    @property
    def trash(self) -> Path:
        """Data sets that were put away, one folder each, for a while."""
        return self.root / "trash"

    @property
    def outputs(self) -> Path:
        """Pictures made on the Generate page, with their settings."""
        return self.root / "outputs"

    @property
    def cache(self) -> Path:
        """Encoded pictures, thumbnails and comparison cells: may be deleted at any time."""
        return self.root / "cache"

    @property
    def temporary(self) -> Path:
        """Uploads on their way in; on the same file system, so that a rename is enough."""
        return self.root / "tmp"

    def dataset(self, dataset_id: str) -> Path:
        """Folder of a data set that exists."""
        return self._existing(self.datasets, dataset_id, "data set")

    def run(self, run_id: str) -> Path:
        """Folder of a run that exists."""
        return self._existing(self.runs, run_id, "run")

    def _existing(self, parent: Path, some_id: str, what: str) -> Path:
        path = parent / safe_id(some_id, what)
        if not path.is_dir():
            raise DarkroomError(f"There is no {what} called “{some_id}”. It may have been deleted.")
        return path


def default_root() -> Path:
    """`DARKROOM_WORKSPACE`, or the folder Darkroom in the person's home."""
    return Path(os.environ.get("DARKROOM_WORKSPACE") or Path.home() / "Darkroom")


def open_workspace(root: Path | str | None = None) -> Workspace:
    """The workspace in `root`, its folders made where they are missing.

    Raises:
        DarkroomError: When the folder cannot be made or written, or a newer studio wrote it.
    """
    workspace = Workspace(Path(root or default_root()).expanduser().resolve())
    try:
        for folder in (workspace.datasets, workspace.runs, workspace.outputs, workspace.cache, workspace.temporary):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkroomError(
            f"The workspace {workspace.root} cannot be made: {error.strerror}. Give another folder with --workspace."
        ) from None
    marker = workspace.root / "workspace.json"
    version = (files.read_json(marker) or {}).get("version", VERSION)
    if version > VERSION:
        raise DarkroomError(
            f"The workspace {workspace.root} was written by a newer Darkroom (version {version}; this one reads {VERSION}). "
            "Update Darkroom, or give another folder with --workspace."
        )
    if not marker.exists():
        try:
            files.write_json(marker, {"version": VERSION})
        except OSError as error:
            raise DarkroomError(
                f"The workspace {workspace.root} cannot be written: {error.strerror}. Give another folder with --workspace."
            ) from None
    return workspace


def safe_id(value: str, what: str = "name") -> str:
    """`value` where it is an id (small letters, digits, dash, underscore), so that it can never leave its folder."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise DarkroomError(f"“{str(value)[:80]}” is not the id of a {what}.")
    return value


def new_id(name: str, *taken: Path) -> str:
    """A fresh id made from what a person wrote: `Zog the mascot` -> `zog-the-mascot`, then `-2`, `-3`, as long as `taken` have it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48] or "untitled"
    candidate, count = stem, 1
    while any((folder / candidate).exists() for folder in taken):
        count += 1
        candidate = f"{stem}-{count}"
    return candidate
