"""Commands for data sets of the Hugging Face hub: fetch one, push one. The token comes from HF_TOKEN or a private file alone."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli.arranging import app
from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.dataset import DatasetArgument
from studio.cli.moving import IMAGE_COLUMN_HELP, WORDS_COLUMN_HELP, read_columns_said, tell_import, watching
from studio.cli.output import bar, emit, escape, people, plain_errors
from studio.datasets.hub.fetching import fetch_dataset, plan_fetch
from studio.datasets.hub.pushing import push_dataset
from studio.datasets.hub.sources import Source, name_of, parse_source
from studio.datasets.incoming import Outcome

__all__ = ["app"]
RepoArgument = Annotated[str, typer.Argument(help="Name on the hub: owner/name.")]


@app.command("fetch")
def fetch(
    repo: RepoArgument,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit. Default: the newest.")] = "",
    split: Annotated[str, typer.Option(help="Default: train, or all where there is none of this name.")] = "",
    name: Annotated[str, typer.Option(help="Name of the new data set. Default: that on the hub.")] = "",
    image_column: Annotated[list[str] | None, typer.Option(help=IMAGE_COLUMN_HELP)] = None,
    words_column: Annotated[str | None, typer.Option(help=WORDS_COLUMN_HELP)] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetches a data set from the hub, file by file: at any time one of its files is on the disk. Ctrl+C keeps what came in.

    The same as: dataset import hub:owner/name@revision#split, which can also add to a data set that is there.
    """
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        source = parse_source(repo)
        plan = plan_fetch(Source(source.repo, revision or source.revision, split or source.split))
        if not as_json:
            others = [one for one in plan.splits if one != (split or "train")]
            rest = f" There is also: {', '.join(others)}." if others and len(plan.splits) > 1 else ""
            people.print(escape(f"{len(plan.files):,} files, {plan.bytes / 1e6:,.1f} MB.{rest}"))
        made = studio.datasets.create(name or name_of(source), "")
        outcomes: list[Outcome] = []
        try:
            with bar(quiet=as_json) as progress:
                watch = watching(progress, progress.add_task(f"Fetching {source.repo}", total=None))
                columns = read_columns_said(image_column, words_column)
                outcomes.extend(fetch_dataset(studio.datasets, made.id, plan, watch=watch, **columns))
        finally:
            info = studio.datasets.info(made.id)
            if not info.num_pictures:
                studio.datasets.delete(made.id)
        tell_import(studio, info, outcomes, as_json=as_json)


@app.command("push")
def push(
    dataset: DatasetArgument,
    repo: RepoArgument,
    private: Annotated[bool, typer.Option("--private/--public", help="Who may see it, where it is made now.")] = True,
    replace: Annotated[bool, typer.Option("--replace", help="Tables that are there give way.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pushes a data set to the hub as Parquet files with the pictures in them, private unless you say otherwise.

    The token comes from HF_TOKEN or the workspace's private file hf_token, and must have the right to write.
    """
    with plain_errors(as_json=as_json):
        store = open_studio(workspace).datasets
        with bar(quiet=as_json) as progress:
            watch = watching(progress, progress.add_task("Pushing", total=None))
            pushed = push_dataset(store, dataset, repo, private=private, replace=replace, watch=watch)
        value = {"address": pushed.address, "rows": pushed.rows, "files": pushed.files}
        emit(value, escape(f"{pushed.rows:,} rows are at {pushed.address}"), as_json=as_json)
