"""Commands that make other programs known to the studio: setup aitoolkit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backends.contract.aitoolkit import AiToolkit, check_python, find_ai_toolkit, read_ai_toolkit, record_ai_toolkit
from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.output import emit, plain_errors

app = typer.Typer(help="Programs beside the studio that it can work with.", no_args_is_help=True)
_FEATURES = {
    "saves_on_request": "Stop saves first",
    "samples_on_request": "draws samples on request",
    "judges": "judges on pictures held out",
}


@app.callback()
def setup() -> None:
    """Keeps the group a group while it has one command."""


@app.command("aitoolkit")
def aitoolkit(
    folder: Annotated[Path | None, typer.Option(help="The folder that ai-toolkit was cloned into. Without it: shows what is set.")] = None,
    python: Annotated[Path | None, typer.Option(help="Its own Python. Default: looked for in venv, .venv and env of the folder.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes ai-toolkit known, a second trainer for LoRAs on Flux (preset ai_toolkit/flux_subject_24gb), and checks it."""
    with plain_errors(as_json=as_json):
        root = open_studio(workspace).workspace.root
        found = read_ai_toolkit(folder, python) if folder else find_ai_toolkit(root)
        check_python(found)
        if folder:
            record_ai_toolkit(root, found)
        emit(_describe(found), _sentence(found), as_json=as_json)


def _describe(found: AiToolkit) -> dict[str, Any]:
    value: dict[str, Any] = {"folder": str(found.folder), "python": str(found.python), "version": found.version}
    return value | {name: getattr(found, name) for name in _FEATURES}


def _sentence(found: AiToolkit) -> str:
    can = [words for name, words in _FEATURES.items() if getattr(found, name)]
    lacks = [words for name, words in _FEATURES.items() if not getattr(found, name)]
    text = f"ai-toolkit {found.version} in {found.folder}, with {found.python}: {', '.join(can) or 'trains'}."
    return text + (f"\nToo old for: {', '.join(lacks)}. Update it there with git pull." if lacks else "")
