"""Commands about the pictures of a data set: crop, turn, mirror, leave out of training; and into which buckets they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast, get_args

import typer

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.hub import app
from studio.cli.moving import watching
from studio.cli.output import bar, emit, escape, plain_errors, table
from studio.datasets import captions
from studio.datasets.buckets import ENLARGED, count_buckets
from studio.datasets.checks import DEFAULT_BASE, find_target
from studio.datasets.crops import BUCKET, Cropped, Keep, Wish, crop_pictures, say_cropped
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Box, Edit, checked_edit, edit_of, whole_of
from studio.datasets.rows import Picture
from studio.datasets.watch import Watch

_CROP_HELP = (
    "Left,top,width,height in px of the whole picture, or as shares of it from 0 to 1; a shape such as 3:4; "
    "bucket, for the nearest shape that a training knows (of another base model: bucket@sdxl); or whole."
)
_KEEP_HELP = "What a shape is laid around: subject (faces, else what stands out), face (who has none stays as it is), or middle."
__all__ = ["app"]
TOLD = 20  # of those that stayed as they were, by name
PicturesArgument = Annotated[list[str], typer.Argument(help="Names or ids of pictures or pairs; all where none is given.")]


@app.command("edit")
def edit(
    dataset: DatasetArgument,
    pictures: PicturesArgument = [],  # noqa: B006
    crop: Annotated[str, typer.Option(help=_CROP_HELP)] = "whole",
    rotate: Annotated[int, typer.Option(help="Degrees clockwise, after the cut: 0, 90, 180 or 270.")] = 0,
    mirror: Annotated[bool, typer.Option("--mirror", help="Left becomes right.")] = False,
    keep: Annotated[str, typer.Option(help=_KEEP_HELP)] = "subject",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cuts, turns or mirrors pictures, in place of any edit before; both sides of a pair alike. The files that came in stay as they are.

    With a shape each picture is cut around its own subject; who cannot be is named and stays as it is.
    """
    with plain_errors(as_json=as_json):
        if rotate % 90:
            raise DarkroomError(f"--rotate is {rotate} degrees; it must be 0, 90, 180 or 270.", field="rotate")
        if keep not in get_args(Keep):
            raise DarkroomError(f"--keep is “{keep}”; it must be subject, face or middle.", field="keep")
        studio, only = open_studio(workspace), Edit(None, rotate // 90 % 4, mirror)
        rows = choose_rows(studio, dataset, pictures)
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Looking", total=len(rows)))
            shape, _, base = crop.partition("@")
            if ":" in shape or shape == BUCKET:
                wish = Wish(shape, cast("Keep", keep), find_target(None, base or DEFAULT_BASE))
                made = crop_pictures(studio.datasets, dataset, [(row, only) for row in rows], len(rows), wish, watch)
            else:
                made = _edit_alike(studio, dataset, rows, crop, only, watch)
        if made.left and not made.done:
            name, reason = made.left[0]
            raise DarkroomError(f"“{name}”: {reason}" + (f" So it is with {len(made.left):,}." if len(made.left) > 1 else ""), field="crop")
        told = [_describe(row) for row in map(studio.datasets.index(dataset).get, made.done) if row]
        text = f"{len(told):,} of {dataset} {'is' if len(told) == 1 else 'are'} edited."
        if made.around:
            text = f"{say_cropped(made)}\n" + "".join(f"  {name}: {reason}\n" for name, reason in made.left[:TOLD])
        undo_by = f"To undo: studio dataset undo {dataset} {made.token}" if made.token else "Nothing had to be changed."
        value = {"dataset": dataset, "edited": told, "token": made.token, "around": dict(made.around)}
        left = [{"name": name, "reason": reason} for name, reason in made.left]
        emit({**value, "left": left}, escape(text.rstrip() + ("\n" if made.left else " ") + undo_by), as_json=as_json)


def _edit_alike(studio: Studio, dataset: str, rows: list[Picture], crop: str, only: Edit, watch: Watch) -> Cropped:
    """Gives all rows the same edit."""
    edits = {row.id: replace(only, crop=_read_crop(row, crop)) for row in rows}
    watch.begin("Writing", len(edits), "file")
    token = edit_pictures(studio.datasets, dataset, edits, lambda done, _: watch.step(done - watch.done))
    return Cropped(token, list(edits))


@app.command("exclude")
def exclude(
    dataset: DatasetArgument,
    pictures: PicturesArgument,
    again: Annotated[bool, typer.Option("--include", help="Take them in again.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leaves pictures or pairs out of training, checks and exports. They stay in the data set."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        rows = choose_rows(studio, dataset, pictures)
        token = exclude_pictures(studio.datasets, dataset, [row.id for row in rows], excluded=not again)
        left = studio.datasets.info(dataset).num_training
        value = {"dataset": dataset, "excluded": not again, "rows": len(rows), "training": left, "token": token}
        emit(value, f"{left:,} of {dataset} will be trained on. To undo: studio dataset undo {dataset} {token}", as_json=as_json)


@app.command("undo")
def undo(
    dataset: DatasetArgument,
    token: Annotated[str, typer.Argument(help="What edit, exclude or another step printed.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Takes a step on the pictures back, for 30 days after it."""
    with plain_errors(as_json=as_json):
        count = captions.undo(open_studio(workspace).datasets, dataset, token)
        emit({"dataset": dataset, "rows": count}, f"{count:,} of {dataset} {'is' if count == 1 else 'are'} as before.", as_json=as_json)


@app.command("buckets")
def buckets(
    dataset: DatasetArgument,
    resolution: Annotated[int | None, typer.Option(help="Side in px that the training will use. Default: the base model's own.")] = None,
    base_model: Annotated[str, typer.Option(help="Base model that it is meant for.")] = DEFAULT_BASE,
    square: Annotated[bool, typer.Option("--center-crop", help="Every picture is cut to a square.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says what size each picture will be brought to, how many lose an edge and how many must be made larger."""
    with plain_errors(as_json=as_json):
        target = find_target(resolution, base_model)
        lines = count_buckets(open_studio(workspace).datasets, dataset, target, square=square)
        if not lines:
            raise DarkroomError(f"There is nothing to train on in {dataset}: it has no pictures, or all are excluded.")
        value = {"dataset": dataset, "resolution": target.resolution, "step": target.step, "buckets": [b.to_json() for b in lines]}
        columns = ["bucket, px", "pictures", "lose an edge", f"enlarged over {ENLARGED:g} times", "most, times"]
        rows = [[f"{b.width} x {b.height}", b.count, b.cut, b.enlarged, f"{b.most_enlarged:.2f}"] for b in lines]
        emit(value, table(columns, rows), as_json=as_json)


def choose_rows(studio: Studio, dataset: str, wanted: list[str]) -> list[Picture]:
    """The rows of these ids or names; all complete ones where nothing is named."""
    studio.workspace.dataset(dataset)
    index = studio.datasets.index(dataset)
    if not wanted:
        return [row for row in index.rows() if not row.missing]
    found = []
    for name in dict.fromkeys(wanted):
        row = index.get(name) or index.named(name)
        if row is None:
            raise DarkroomError(f"There is no picture “{name}” in {dataset}. Give its name as the Dataset page shows it, or its id.")
        found.append(row)
    return found


def _read_crop(row: Picture, crop: str) -> Box | None:
    """The cut in px of the whole picture; None keeps all of it."""
    if crop == "whole":
        return None
    whole = whole_of(row.images[-1])
    try:
        numbers = [float(part) for part in crop.split(",")]
    except ValueError:
        raise DarkroomError(f"--crop is “{crop}”; it must be {_CROP_HELP[0].lower()}{_CROP_HELP[1:]}", field="crop") from None
    return checked_edit(numbers, 0, mirrored=False, size=(whole.width, whole.height)).crop


def _describe(row: Picture) -> dict[str, Any]:
    edit = edit_of(row.images[-1])
    shown = {"id": row.id, "name": row.name, "width": row.width, "height": row.height}
    return {**shown, "crop": edit.crop, "rotate": 90 * edit.turns, "mirrored": edit.mirrored}
