"""Commands that make other programs known to the studio, or make room for them: setup aitoolkit, setup-lavis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backends.contract.aitoolkit import AiToolkit, check_python, find_ai_toolkit, read_ai_toolkit, record_ai_toolkit
from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.output import emit, people, plain_errors
from studio.workers.lavis_home import compute_size_gb, find_lavis, home_of, make_lavis

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


def lavis(
    anew: Annotated[bool, typer.Option("--anew", help="Make it again where it is there already.")] = False,
    pip: Annotated[
        list[str],
        typer.Option(help="An option for pip, as it stands, such as --pip=--index-url=... for torch without CUDA. Repeat for more."),
    ] = [],  # noqa: B006
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes the environment in which LAVIS captions (captioners lavis:...): Python 3.11 or 3.10, 1 GB without CUDA, 8 GB with."""
    with plain_errors(as_json=as_json):
        home = open_studio(workspace).workspace
        minutes = make_lavis(home, (lambda text: None) if as_json else people.print, anew=anew, pip=pip)
        where = home_of(home)
        size = compute_size_gb(where)
        value = {"folder": str(where), "python": str(find_lavis(home)), "minutes": round(minutes, 2), "size_gb": round(size, 2)}
        how = f"made in {minutes:.1f} min" if minutes else "there already"
        emit(value, f"LAVIS is {how}: {where}, {size:.1f} GB. Caption with --captioner lavis:blip_caption/base_coco.", as_json=as_json)


def _describe(found: AiToolkit) -> dict[str, Any]:
    value: dict[str, Any] = {"folder": str(found.folder), "python": str(found.python), "version": found.version}
    return value | {name: getattr(found, name) for name in _FEATURES}


def _sentence(found: AiToolkit) -> str:
    can = [words for name, words in _FEATURES.items() if getattr(found, name)]
    lacks = [words for name, words in _FEATURES.items() if not getattr(found, name)]
    text = f"ai-toolkit {found.version} in {found.folder}, with {found.python}: {', '.join(can) or 'trains'}."
    return text + (f"\nToo old for: {', '.join(lacks)}. Update it there with git pull." if lacks else "")
