"""What every command starts from: the workspace and its stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from backends.contract.hub_token import use_token_file
from studio.datasets.store import DatasetStore
from studio.runs.store import RunStore
from studio.workspace import Workspace, open_workspace

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", envvar="DARKROOM_WORKSPACE", help="Folder of the workspace. Default: Darkroom in your home."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines, nothing else.")]


@dataclass(frozen=True)
class Studio:
    """The stores of one workspace."""

    workspace: Workspace
    datasets: DatasetStore
    runs: RunStore


def open_studio(root: Path | None) -> Studio:
    """The stores of the workspace in `root` (made where it is missing)."""
    workspace = open_workspace(root)
    use_token_file(workspace.root)
    return Studio(workspace, DatasetStore(workspace), RunStore(workspace))
