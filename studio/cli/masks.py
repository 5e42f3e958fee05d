"""The command about masks: painted elsewhere, made of transparency, or made of the subject without a hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.moving import watching
from studio.cli.output import bar, emit, escape, plain_errors
from studio.cli.picture_edits import TOLD, PicturesArgument, app, choose_rows
from studio.datasets.auto_masks import make_masks
from studio.datasets.masks import masks_of_alpha, read_mask_file, set_masks
from studio.datasets.rows import Picture

__all__ = ["app"]


@app.command("mask")
def mask(
    dataset: DatasetArgument,
    pictures: PicturesArgument = [],  # noqa: B006
    file: Annotated[Path | None, typer.Option(help="A grey picture of the size of the whole one: white is learnt, black is not.")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Masks of what the pictures show, made without a hand. Look through them.")] = False,
    over: Annotated[bool, typer.Option("--over", help="With --auto: masks that a person made give way too.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take masks away.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gives pictures masks for a training with masked_loss: from a file, of their transparency, or of their subject."""
    with plain_errors(as_json=as_json):
        if (file is not None) + auto + remove > 1:
            raise DarkroomError("Give one of --file, --auto and --remove.")
        if over and not auto:
            raise DarkroomError("--over belongs to --auto. --file and --remove replace any mask.", field="over")
        studio = open_studio(workspace)
        rows = choose_rows(studio, dataset, pictures)
        if auto:
            _mask_subjects(studio, dataset, rows, over=over, as_json=as_json)
            return
        masks = _find_masks(studio, dataset, rows, file, remove=remove, quiet=as_json)
        token = set_masks(studio.datasets, dataset, masks)
        told = f"{_have(len(masks))} {'no mask any more' if remove else 'a mask'}."
        text = f"{told} To undo: studio dataset undo {dataset} {token}"
        emit({"dataset": dataset, "pictures": len(masks), "token": token}, text, as_json=as_json)


def _find_masks(
    studio: Studio, dataset: str, rows: list[Picture], file: Path | None, *, remove: bool, quiet: bool
) -> dict[str, Image.Image | None]:
    if file:
        if not file.is_file():
            raise DarkroomError(f"There is no file {file}. Give a PNG, JPEG or WebP.", field="file")
        return {row.id: read_mask_file(file.read_bytes()) for row in rows}
    if remove:
        return {row.id: None for row in rows if row.mask}
    with bar(quiet=quiet) as progress:
        task = progress.add_task("Reading", total=len(rows))
        masks = masks_of_alpha(studio.datasets, dataset, rows, lambda done: progress.update(task, completed=done))
    if not masks:
        raise DarkroomError(
            "None of these pictures came with transparent parts. Give --auto or --file, or paint masks on the Dataset page."
        )
    return masks


def _mask_subjects(studio: Studio, dataset: str, rows: list[Picture], *, over: bool, as_json: bool) -> None:
    with bar(quiet=as_json) as progress:
        watch = watching(progress, progress.add_task("Masking", total=len(rows)))
        made = make_masks(studio.datasets, dataset, rows, len(rows), over=over, watch=watch)
    lines = [f"{_have(made.count)} a mask made without a hand. Look through them on the Dataset page before you train."]
    lines += [f"{made.by_hand:,} made by hand stayed; --over replaces them."] if made.by_hand else []
    lines += [f"  {name}: {reason}" for name, reason in made.left[:TOLD]]
    lines += [f"  and {len(made.left) - TOLD:,} more without a mask"] if len(made.left) > TOLD else []
    lines += [f"To undo: studio dataset undo {dataset} {made.token}"] if made.token else []
    value: dict[str, Any] = {"dataset": dataset, "pictures": made.count, "by_hand": made.by_hand, "token": made.token}
    left = [{"name": name, "reason": reason} for name, reason in made.left]
    emit({**value, "left": left}, escape("\n".join(lines)), as_json=as_json)


def _have(count: int) -> str:
    return f"{count:,} {'picture has' if count == 1 else 'pictures have'}"
