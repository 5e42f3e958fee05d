"""Commands that arrange data sets: merge, split, copy, rename, trash, restore."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, Studio, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.moving import app, watching
from studio.cli.output import bar, emit, escape, plain_errors, table
from studio.datasets import trash as trash_store
from studio.datasets.caption_job import CaptionJobs
from studio.datasets.dividing import Cut, split_dataset
from studio.datasets.merging import Merged, copy_dataset, merge_datasets
from studio.runs.users import refuse_in_use
from studio.workers.captioner import Captioner

__all__ = ["app"]


@app.command("merge")
def merge(
    sources: Annotated[list[str], typer.Argument(help="Ids of the data sets to bring together (see: dataset list).")],
    into: Annotated[str, typer.Option(help="Name of the new data set, or the id of one that is there, which then gets the rows.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Brings the rows of several data sets into one, with their words. The first ones stay; linked files take no space twice.

    What shows the same picture comes once and is named; names that are taken get a number.
    """
    with plain_errors(as_json=as_json):
        store = open_studio(workspace).datasets
        there = any(one.id == into for one in store.list())
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Merging", total=None))
            merged = merge_datasets(store, sources, name="" if there else into, into=into if there else "", watch=watch)
        _tell_merged(merged, as_json=as_json)


@app.command("copy")
def copy(
    dataset: DatasetArgument,
    name: Annotated[str, typer.Option(help="Name of the copy. Default: the first one's, with (copy).")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a data set with the same pictures and words, which can be changed without the first one."""
    with plain_errors(as_json=as_json):
        store = open_studio(workspace).datasets
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Copying", total=None))
            copied = copy_dataset(store, dataset, name=name, watch=watch)
        _tell_merged(copied, as_json=as_json)


def _tell_merged(merged: Merged, *, as_json: bool) -> None:
    tally = merged.tally
    numbers = {"added": tally.added, "same": tally.same, "worded": tally.worded, "differing": tally.differing, "renamed": tally.renamed}
    value = {"dataset": merged.info.id, "name": merged.info.name, "rows": merged.info.num_pictures, **numbers, "notes": merged.notes}
    emit(value, escape(f"{merged.sentence()} Its id: {merged.info.id}"), as_json=as_json)


@app.command("split")
def split(
    dataset: DatasetArgument,
    share: Annotated[float | None, typer.Option(help="Share that goes to the second data set, by chance: 0.2 is a fifth.")] = None,
    text: Annotated[str, typer.Option(help="Or those in whose words this stands.")] = "",
    silent: Annotated[bool, typer.Option("--silent", help="Or those without words.")] = False,
    smaller: Annotated[int, typer.Option(min=0, help="Or those whose shorter side has fewer px.")] = 0,
    seed: Annotated[int, typer.Option(help="Of chance: the same one divides in the same way.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes two data sets of one, which stays: by a share, or by what you say of the rows. Near copies stay on one side."""
    with plain_errors(as_json=as_json):
        store = open_studio(workspace).datasets
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Splitting", total=None))
            cut = Cut(share=share, text=text, silent=silent, smaller_px=smaller, seed=seed)
            divided = split_dataset(store, dataset, cut, watch=watch)
        sides = {side: {"dataset": one.id, "rows": one.num_pictures} for side, one in (("rest", divided.rest), ("taken", divided.taken))}
        value = {**sides, "together": divided.together, "unknown": divided.unknown}
        emit(value, escape(f"{divided.sentence()} Their ids: {divided.rest.id}, {divided.taken.id}"), as_json=as_json)


@app.command("rename")
def rename(
    dataset: DatasetArgument,
    name: Annotated[str, typer.Argument(help="The new name. The id stays: runs and links go by it.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gives a data set another name."""
    with plain_errors(as_json=as_json):
        info = open_studio(workspace).datasets.update(dataset, name=name)
        emit({"dataset": info.id, "name": info.name}, escape(f"It is called “{info.name}” now. Its id stays {info.id}."), as_json=as_json)


@app.command("trash")
def trash(
    datasets: Annotated[list[str] | None, typer.Argument(help="Ids of data sets to put away. None: list what is in the trash.")] = None,
    for_good: Annotated[bool, typer.Option("--for-good", help="Delete these, which are in the trash already, for good.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Puts data sets into the trash, from which they come back with `dataset restore` for 30 days; without an id lists it."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        if not datasets:
            _list_trash(studio, as_json=as_json)
        elif for_good:
            _delete(studio, datasets, yes=yes or as_json, as_json=as_json)
        else:
            captions = CaptionJobs(studio.workspace, Captioner(studio.workspace))
            for one in datasets:
                studio.datasets.info(one)
                refuse_in_use(studio.runs, captions, one)
            gone = [trash_store.trash_dataset(studio.datasets, one) for one in datasets]
            lines = [f"“{one.name}” is in the trash for {one.days_left} days ({trash_store.describe_size(one)})." for one in gone]
            way_back = " ".join(one.id for one in gone)
            emit(
                [asdict(one) for one in gone],
                escape("\n".join([*lines, f"Back again: studio dataset restore {way_back}"])),
                as_json=as_json,
            )


def _list_trash(studio: Studio, *, as_json: bool) -> None:
    found = trash_store.list_trash(studio.datasets)
    rows = [[one.id, one.name, trash_store.describe_size(one), one.days_left] for one in found]
    shown = table(["id", "name", "size", "days left"], rows) if rows else "The trash is empty."
    emit([asdict(one) for one in found], shown, as_json=as_json)


def _delete(studio: Studio, ids: list[str], *, yes: bool, as_json: bool) -> None:
    found = [trash_store.find_trashed(studio.datasets, one) for one in ids]
    told = "; ".join(f"“{one.name}”: {trash_store.describe_size(one)}" for one in found)
    if not yes and not typer.confirm(f"Delete for good? {told}. This cannot be undone.", err=True):
        raise DarkroomError("Nothing was deleted.")
    for one in found:
        trash_store.delete_for_good(studio.datasets, one.id)
    emit([asdict(one) for one in found], escape(f"Deleted for good: {told}."), as_json=as_json)


@app.command("restore")
def restore(
    datasets: Annotated[list[str], typer.Argument(help="Ids of data sets in the trash (see: dataset trash).")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Brings data sets back from the trash, whole, under their ids."""
    with plain_errors(as_json=as_json):
        store = open_studio(workspace).datasets
        for one in datasets:
            trash_store.find_trashed(store, one)
        back = [trash_store.restore_dataset(store, one) for one in datasets]
        text = "\n".join(f"“{info.name}” is back: {info.num_pictures:,} {info.kind} in {info.id}." for info in back)
        emit([asdict(info) for info in back], escape(text), as_json=as_json)
