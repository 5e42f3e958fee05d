"""Commands about the pictures of a data set: crop, turn, mirror, leave out of training; and into which buckets they come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from backends.contract.errors import DarkroomError
from backends.contract.pictures import open_picture
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.hub import app
from studio.cli.output import bar, emit, plain_errors, table
from studio.datasets import captions
from studio.datasets.buckets import ENLARGED, count_buckets
from studio.datasets.checks import DEFAULT_BASE, find_target
from studio.datasets.edit_pictures import edit_pictures, exclude_pictures
from studio.datasets.edits import Box, Edit, checked_edit, edit_of, whole_of
from studio.datasets.framing import find_subject
from studio.datasets.masks import masks_of_alpha, read_mask_file, set_masks
from studio.datasets.rows import Picture

_CROP_HELP = "Left,top,width,height in px of the whole picture, or as shares of it from 0 to 1; a shape such as 3:4; or whole."
__all__ = ["app"]
PicturesArgument = Annotated[list[str], typer.Argument(help="Names or ids of pictures or pairs; all where none is given.")]


@app.command("edit")
def edit(
    dataset: DatasetArgument,
    pictures: PicturesArgument = [],  # noqa: B006
    crop: Annotated[str, typer.Option(help=_CROP_HELP)] = "whole",
    rotate: Annotated[int, typer.Option(help="Degrees clockwise, after the cut: 0, 90, 180 or 270.")] = 0,
    mirror: Annotated[bool, typer.Option("--mirror", help="Left becomes right.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cuts, turns or mirrors pictures, in place of any edit before; both sides of a pair alike. The files that came in stay as they are."""
    with plain_errors(as_json=as_json):
        if rotate % 90:
            raise DarkroomError(f"--rotate is {rotate} degrees; it must be 0, 90, 180 or 270.", field="rotate")
        studio = open_studio(workspace)
        wanted = [(row, Edit(None, rotate // 90 % 4, mirror)) for row in _choose(studio, dataset, pictures)]
        edits = {row.id: replace(only, crop=_read_crop(studio, dataset, row, crop, only)) for row, only in wanted}
        with bar(quiet=as_json) as progress:
            task = progress.add_task("Writing", total=len(edits))
            token = edit_pictures(studio.datasets, dataset, edits, lambda done, total: progress.update(task, completed=done, total=total))
        told = [_describe(row) for row in map(studio.datasets.index(dataset).get, edits) if row]
        text = f"{len(told):,} of {dataset} {'is' if len(told) == 1 else 'are'} edited. To undo: studio dataset undo {dataset} {token}"
        emit({"dataset": dataset, "edited": told, "token": token}, text, as_json=as_json)


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
        rows = _choose(studio, dataset, pictures)
        token = exclude_pictures(studio.datasets, dataset, [row.id for row in rows], excluded=not again)
        left = studio.datasets.info(dataset).num_training
        value = {"dataset": dataset, "excluded": not again, "rows": len(rows), "training": left, "token": token}
        emit(value, f"{left:,} of {dataset} will be trained on. To undo: studio dataset undo {dataset} {token}", as_json=as_json)


@app.command("mask")
def mask(
    dataset: DatasetArgument,
    pictures: PicturesArgument = [],  # noqa: B006
    file: Annotated[Path | None, typer.Option(help="A grey picture of the size of the whole one: white is learnt, black is not.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take masks away.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gives pictures masks for a training with masked_loss: from a file, or from the transparency that the pictures came with."""
    with plain_errors(as_json=as_json):
        if file and remove:
            raise DarkroomError("Give --file or --remove, not both.")
        studio = open_studio(workspace)
        rows, masks = _choose(studio, dataset, pictures), dict[str, Image.Image | None]()
        if file:
            if not file.is_file():
                raise DarkroomError(f"There is no file {file}. Give a PNG, JPEG or WebP.", field="file")
            masks = {row.id: read_mask_file(file.read_bytes()) for row in rows}
        elif remove:
            masks = {row.id: None for row in rows if row.mask}
        else:
            with bar(quiet=as_json) as progress:
                task = progress.add_task("Reading", total=len(rows))
                masks = masks_of_alpha(studio.datasets, dataset, rows, lambda done: progress.update(task, completed=done))
        if not masks and not remove:
            raise DarkroomError("None of these pictures came with transparent parts. Paint masks on the Dataset page, or give --file.")
        token = set_masks(studio.datasets, dataset, masks)
        told = f"{len(masks):,} {'picture has' if len(masks) == 1 else 'pictures have'} {'no mask any more' if remove else 'a mask'}."
        text = f"{told} To undo: studio dataset undo {dataset} {token}"
        emit({"dataset": dataset, "pictures": len(masks), "token": token}, text, as_json=as_json)


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


def _choose(studio: Studio, dataset: str, wanted: list[str]) -> list[Picture]:
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


def _read_crop(studio: Studio, dataset: str, row: Picture, crop: str, edit: Edit) -> Box | None:
    """The cut in px of the whole picture; None keeps all of it."""
    whole = whole_of(row.images[-1])
    try:
        if crop == "whole":
            return None
        if ":" in crop:
            wide, high = (float(part) for part in crop.split(":"))
            with open_picture(studio.workspace.dataset(dataset) / whole.file) as picture:
                return find_subject(picture, high / wide if edit.turns % 2 else wide / high)  # a shape is that of the turned picture
        numbers = [float(part) for part in crop.split(",")]
    except (ValueError, ZeroDivisionError):
        raise DarkroomError(f"--crop is “{crop}”; it must be {_CROP_HELP[0].lower()}{_CROP_HELP[1:]}", field="crop") from None
    return checked_edit(numbers, 0, mirrored=False, size=(whole.width, whole.height)).crop


def _describe(row: Picture) -> dict[str, Any]:
    edit = edit_of(row.images[-1])
    shown = {"id": row.id, "name": row.name, "width": row.width, "height": row.height}
    return {**shown, "crop": edit.crop, "rotate": 90 * edit.turns, "mirrored": edit.mirrored}
