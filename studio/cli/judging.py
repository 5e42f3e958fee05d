"""The command about who judges: pictures or pairs that every run over a data set is judged by, and never learns from."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.output import emit, escape, plain_errors
from studio.cli.pair_edits import app
from studio.cli.picture_edits import TOLD, choose_rows
from studio.datasets.judges import list_judges, mark_judges

__all__ = ["app"]


@app.command("judge")
def judge(
    dataset: DatasetArgument,
    pictures: Annotated[list[str], typer.Argument(help="Names or ids of pictures or pairs. Without any: who judges now.")] = [],  # noqa: B006
    clear: Annotated[bool, typer.Option("--clear", help="Learn from these again; from all where none is named.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says which pictures or pairs judge every run, and are never learnt from; near copies of them are held out too.

    Where some are chosen, exactly these judge, and held_out_share says nothing.
    """
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        if not pictures and not clear:
            _list(studio, dataset, as_json=as_json)
            return
        rows = choose_rows(studio, dataset, pictures) if pictures else list(list_judges(studio.datasets, dataset))
        if not rows:
            raise DarkroomError(f"Nobody chose who judges in {dataset}, so there is nothing to clear. Name pictures to choose some.")
        token = mark_judges(studio.datasets, dataset, [row.id for row in rows], judges=not clear)
        now = _count(studio, dataset)
        value = {"dataset": dataset, "judges": not clear, "rows": len(rows), **now, "token": token}
        emit(value, f"{_tell(studio, dataset)} To undo: studio dataset undo {dataset} {token}", as_json=as_json)


def _list(studio: Studio, dataset: str, *, as_json: bool) -> None:
    if as_json:
        named = [{"id": row.id, "name": row.name} for row in list_judges(studio.datasets, dataset)]
        emit({"dataset": dataset, **_count(studio, dataset), "pictures": named}, "", as_json=True)
        return
    names = [row.name for row in islice(list_judges(studio.datasets, dataset), TOLD)]
    more = studio.datasets.info(dataset).num_judges - len(names)
    lines = [_tell(studio, dataset), *(f"  {name}" for name in names), *([f"  and {more:,} more"] if more > 0 else [])]
    emit({}, escape("\n".join(lines)), as_json=False)


def _count(studio: Studio, dataset: str) -> dict[str, int]:
    info = studio.datasets.info(dataset)
    return {"judging": info.num_judges, "training": info.num_training - info.num_judges}


def _tell(studio: Studio, dataset: str) -> str:
    now, noun = _count(studio, dataset), "pair" if studio.datasets.info(dataset).kind == "pairs" else "picture"
    if not now["judging"]:
        return f"Nobody chose who judges in {dataset}: a share of the {noun}s does, as each run's settings say."
    one = now["judging"] == 1
    judge = f"{now['judging']:,} {noun} judges" if one else f"{now['judging']:,} {noun}s judge"
    if not now["training"]:
        return f"{judge} in {dataset}, chosen by you, and none is left to learn from: no run can start. Name some with --clear."
    return f"{judge} in {dataset}, chosen by you; {now['training']:,} are learnt from, but for near copies of {'it' if one else 'them'}."
