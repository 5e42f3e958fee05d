"""Commands about many captions: found, replaced, given tags, and what was done taken back. Nothing is written without --write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer

from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.output import emit, escape, plain_errors, table
from studio.datasets import captions
from studio.datasets.readings import MOST_PASSES, PASSES, count_readings, plan_reading, preview_readings
from studio.datasets.search import Wanted, find_places
from studio.datasets.store import DatasetStore
from studio.datasets.tags import Act, Tagging, preview_tags, retag
from studio.datasets.tokens import load_counter

app = typer.Typer(help="Captions: find, replace, change tags, list changes of many and undo them.", no_args_is_help=True)
_SHOWN, _LISTED = 10, 500
EMPTY = "(empty caption)"
_WRITE = "Do it; without this the change is only shown."
WriteOption = Annotated[bool, typer.Option("--write", help=_WRITE)]


@app.command("find")
def find(
    dataset: DatasetArgument,
    text: Annotated[str, typer.Option(help="What stands in the caption, in any case of letters.")] = "",
    regex: Annotated[bool, typer.Option("--regex", help="The text is a regular expression.")] = False,
    tag: Annotated[str, typer.Option(help="A part between its commas.")] = "",
    missing: Annotated[bool, typer.Option("--missing", help="Pictures without a caption.")] = False,
    longer_than: Annotated[int | None, typer.Option(help="Tokens, as SD and SDXL count them.", min=0)] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the pictures whose captions are as asked for: the first 500, and how many there are."""
    with plain_errors(as_json=as_json):
        index = _open(workspace, dataset).index(dataset)
        least = None if longer_than is None else longer_than + 1
        wanted = Wanted(state="missing" if missing else "", text=text, expression=regex, tag=tag, tokens_min=least)
        places = find_places(index, wanted, load_counter("sdxl"))
        rows = [{"id": row.id, "name": row.name, "caption": row.text} for row in index.at(places[:_LISTED])]
        grid = table(["picture", "caption"], [[escape(row["name"]), escape(row["caption"])] for row in rows])
        emit({"count": len(places), "pictures": rows}, grid if rows else "No caption is like this.", as_json=as_json)


@app.command("replace")
def replace(
    dataset: DatasetArgument,
    find: Annotated[str, typer.Argument(help="What is looked for.")],
    put: Annotated[str, typer.Argument(help="What comes in its place; nothing takes it out.")] = "",
    regex: Annotated[bool, typer.Option("--regex", help="A regular expression; \\1 puts its first group.")] = False,
    match_case: Annotated[bool, typer.Option("--match-case", help="Capitals must be the same.")] = False,
    write: WriteOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replaces in all captions. Shows what would change, and changes it with --write."""
    with plain_errors(as_json=as_json):
        store = _open(workspace, dataset)
        shown, count = _look(captions.preview_replace(store, dataset, find, put, regex=regex, match_case=match_case))
        token = captions.replace(store, dataset, find, put, regex=regex, match_case=match_case) if write and count else ""
        _tell(shown, count, token, as_json=as_json)


@app.command("tag")
def tag(
    dataset: DatasetArgument,
    act: Annotated[Act, typer.Argument(help="add, remove, rename, move or sort.")],
    name: Annotated[str, typer.Argument(help="The tag, or several with commas between them.")] = "",
    to: Annotated[str, typer.Option(help="The new name.")] = "",
    place: Annotated[str, typer.Option(help="start, second (behind the trigger word) or end.")] = "end",
    write: WriteOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Changes the tags between the commas of all captions. Shows what would change, and changes it with --write."""
    if place not in ("start", "second", "end"):
        raise typer.BadParameter(f"“{place}” is no place; it is start, second or end.")
    with plain_errors(as_json=as_json):
        store, wanted = _open(workspace, dataset), Tagging.model_validate({"act": act, "tag": name, "to": to, "place": place})
        shown, count = _look(preview_tags(store, dataset, wanted))
        _tell(shown, count, retag(store, dataset, wanted) if write and count else "", as_json=as_json)


@app.command("preview")
def preview(
    dataset: DatasetArgument,
    dropout: Annotated[float, typer.Option(help="How often a caption is left out, 0 to 0.9 (caption_dropout).")] = 0.0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Tags change places (shuffle_tags).")] = False,
    keep: Annotated[int, typer.Option(help="The first so many tags keep theirs, 0 to 100 (keep_tags).")] = 1,
    passes: Annotated[int, typer.Option("--epochs", min=1, max=MOST_PASSES, help="So many passes over the pictures.")] = PASSES,
    seed: Annotated[int, typer.Option(help="The run's seed.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows what a training with these settings and this seed reads of the first captions, pass by pass."""
    with plain_errors(as_json=as_json):
        store = _open(workspace, dataset)
        values = {"caption_dropout": dropout, "shuffle_tags": shuffle, "keep_tags": keep, "seed": seed}
        reading = plan_reading(values, store.trigger(dataset)[0])
        rows = preview_readings(store, dataset, reading, passes=passes)
        everything = count_readings(store.index(dataset), reading.orders)
        parts = [
            "\n".join([escape(row.name), *(f"  {number}  {escape(read) or EMPTY}" for number, read in enumerate(row.passes, 1))])
            for row in rows
        ]
        moving = f"{everything.moving:,} of {everything.written:,} captions have tags that change places."
        end = f"{moving} Encoded once: {everything.texts:,} texts."
        emit({"captions": [asdict(row) for row in rows], "all": asdict(everything)}, "\n".join([*parts, end]), as_json=as_json)


@app.command("changes")
def changes(dataset: DatasetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Lists the changes of many captions that are remembered, the newest first."""
    with plain_errors(as_json=as_json):
        acts = captions.list_changes(_open(workspace, dataset), dataset)
        rows = [
            [a.token, f"{datetime.fromtimestamp(a.time):%Y-%m-%d %H:%M}", escape(a.detail), a.count, "undone" if a.undone else ""]
            for a in acts
        ]
        told: list[dict[str, Any]] = [{**asdict(a), "token": a.token} for a in acts]
        emit(told, table(["token", "when", "what", "captions", ""], rows) if rows else "Nothing was done to many at once.", as_json=as_json)


@app.command("undo")
def undo(
    dataset: DatasetArgument,
    token: Annotated[str, typer.Argument(help="What to take back (see: captions changes). Default: the newest change.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Takes a change of many captions back; captions that were edited since stay."""
    with plain_errors(as_json=as_json):
        store = _open(workspace, dataset)
        newest = next((act.token for act in captions.list_changes(store, dataset) if not act.undone), "caption-0")
        count = captions.undo(store, dataset, token or newest)
        emit({"count": count}, f"{count:,} captions read as before.", as_json=as_json)


def _open(workspace: Any, dataset: str) -> DatasetStore:
    store = open_studio(workspace).datasets
    store.info(dataset)  # says plainly where there is none
    return store


def _look(found: Iterator[captions.Change]) -> tuple[list[captions.Change], int]:
    """The first changes, and how many there are."""
    shown = list(islice(found, _SHOWN))
    return shown, len(shown) + sum(1 for _ in found)


def _tell(shown: list[captions.Change], count: int, token: str, *, as_json: bool) -> None:
    lines = [f"- {escape(change.before)}\n+ {escape(change.after)}" for change in shown]
    end = (
        f"{count:,} captions were changed; “captions undo” takes it back."
        if token
        else f"{count:,} captions would change. --write does it."
    )
    text = "\n".join([*lines, end]) if count else "No caption would change."
    emit({"count": count, "token": token, "changes": [asdict(change) for change in shown]}, text, as_json=as_json)
