"""Commands about edit pairs, and about rows of either kind: swap sides, give one instruction, take out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.masks import app
from studio.cli.output import emit, escape, plain_errors
from studio.cli.picture_edits import choose_rows
from studio.datasets.pairs import say_alike, swap_sides

__all__ = ["app"]
PairsArgument = Annotated[list[str], typer.Argument(help="Names or ids of pairs; all where none is given.")]
SomeArgument = Annotated[list[str], typer.Argument(help="Names or ids of pictures or pairs.")]


@app.command("swap")
def swap(
    dataset: DatasetArgument,
    pairs: PairsArgument = [],  # noqa: B006
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes before of after and after of before; the instructions stay."""
    with plain_errors(as_json=as_json):
        studio, ids = _choose(workspace, dataset, pairs)
        token = swap_sides(studio.datasets, dataset, ids)
        count = studio.datasets.info(dataset).num_pictures if ids is None else len(ids)
        _tell(dataset, count, token, "swapped", as_json=as_json)


@app.command("say")
def say(
    dataset: DatasetArgument,
    text: Annotated[str, typer.Argument(help="The instruction, such as “make it night”.")],
    pairs: PairsArgument = [],  # noqa: B006
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gives pairs one instruction, in place of what they say now."""
    with plain_errors(as_json=as_json):
        studio, ids = _choose(workspace, dataset, pairs)
        if not text.strip():
            raise DarkroomError("The instruction is empty. Write what changes from before to after, such as “make it night”.")
        token = say_alike(studio.datasets, dataset, text, ids)
        count = studio.datasets.info(dataset).num_pictures if ids is None else len(ids)
        _tell(dataset, count, token, f"given the instruction “{text}”", as_json=as_json)


@app.command("remove")
def remove(dataset: DatasetArgument, pictures: SomeArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Takes pictures or pairs out of a data set. For 30 days they can be brought back with all they had."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        ids = [row.id for row in choose_rows(studio, dataset, pictures)]
        _tell(dataset, len(ids), studio.datasets.remove(dataset, ids), "taken out", as_json=as_json)


def _choose(workspace: Path | None, dataset: str, pairs: list[str]) -> tuple[Studio, list[str] | None]:
    """The studio, and the ids of the pairs that are named; None means all."""
    studio = open_studio(workspace)
    info = studio.datasets.info(dataset)
    if info.kind != "pairs":
        raise DarkroomError(f"“{info.name}” holds single pictures; only edit pairs have a before, an after and an instruction.")
    return studio, [row.id for row in choose_rows(studio, dataset, pairs)] if pairs else None


def _tell(dataset: str, count: int, token: str, done: str, *, as_json: bool) -> None:
    undo_by = f"To undo: studio dataset undo {dataset} {token}" if token else "Nothing had to be changed."
    text = escape(f"{count:,} of {dataset} {'is' if count == 1 else 'are'} {done}. {undo_by}")
    emit({"dataset": dataset, "rows": count, "token": token}, text, as_json=as_json)
