"""Commands about data: sample, list, draft instructions, check."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.cli.context import JsonOption, WorkspaceOption, open_studio
from studio.cli.follow_job import follow_job
from studio.cli.output import bar, emit, escape, plain_errors, table
from studio.datasets.caption_job import CaptionJobs
from studio.datasets.checks import check_dataset
from studio.datasets.report_page import render_report
from studio.datasets.samples import create_sample_dataset
from studio.workers.captioner import DEFAULT_CAPTIONER, Captioner

app = typer.Typer(help="Data sets: import pictures or edit pairs, samples, list, draft instructions, export.", no_args_is_help=True)

DatasetArgument = Annotated[str, typer.Argument(help="Id of the data set (see: dataset list).")]


@app.command("sample")
def sample(
    name: Annotated[str, typer.Argument(help="zog or glorp, or edits for edit pairs.")] = "zog",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a data set of the sample pictures or the sample pairs, with their words, ready to train."""
    with plain_errors(as_json=as_json):
        info = create_sample_dataset(open_studio(workspace).datasets, name)
        emit({"dataset": info.id, "pictures": info.num_pictures}, f"{info.num_pictures} {info.kind} are in {info.id}.", as_json=as_json)


@app.command("list")
def list_(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Lists the data sets."""
    with plain_errors(as_json=as_json):
        found = open_studio(workspace).datasets.list()
        rows = [[d.id, d.name, d.kind, d.num_pictures, d.num_captions, d.num_incomplete or "", d.trigger_word] for d in found]
        columns = ["id", "name", "kind", "rows", "with words", "incomplete", "trigger word"]
        emit([asdict(d) for d in found], table(columns, rows), as_json=as_json)


@app.command("draft-instructions")
def draft_instructions(
    dataset: DatasetArgument,
    captioner: Annotated[
        str, typer.Option(help="Where the pictures alone do not tell: pocket-blip, a BLIP of the hub, a folder, or none.")
    ] = DEFAULT_CAPTIONER,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drafts an instruction for every complete pair that has none, by comparing before and after. Read them before you train."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        info, worker = studio.datasets.info(dataset), Captioner(studio.workspace)
        if info.kind != "pairs":
            raise DarkroomError(
                f"“{info.name}” holds single pictures; instructions belong to edit pairs. For captions: studio caption {dataset}."
            )
        jobs = CaptionJobs(studio.workspace, worker)
        try:
            jobs.start(dataset, captioner=captioner)
            status = follow_job(jobs, dataset, "Drafting", quiet=as_json)
        finally:
            worker.release()
        drafted = status["done"] - status["silent"] - len(status["failed"]) - status["kept"]
        value = {"dataset": dataset, "drafted": drafted, "silent": status["silent"], "failed": status["failed"]}
        rest = f" {status['silent']} could not be told from their pictures; write them yourself." if status["silent"] else ""
        emit(value, f"{drafted} instructions were drafted.{rest}", as_json=as_json)


@app.command("check")
def check(
    dataset: DatasetArgument,
    resolution: Annotated[int | None, typer.Option(help="Side in px that the training will use. Default: the base model's own.")] = None,
    base_model: Annotated[str, typer.Option(help="Base model that it is meant for.")] = "pocket-sdxl",
    html: Annotated[Path | None, typer.Option(help="Also write the report there as one HTML file to read, send and print.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says how ready a data set is, with each finding's rule and way out. Writes dataset_report.json."""
    with plain_errors(as_json=as_json):
        studio = open_studio(workspace)
        with bar(quiet=as_json) as progress:
            task = progress.add_task("Checking", total=None)
            report = check_dataset(
                studio.datasets,
                dataset,
                resolution=resolution,
                base_model=base_model,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if html:
            files.write_text(html, render_report(studio.datasets, dataset, report))
        value: dict[str, Any] = report.to_json()
        lines = [f"Readiness: {report.score} %.", *report.sentences, *(f"{p.name}: {p.points:g} of {p.out_of} %." for p in report.parts)]
        noun = "pairs" if studio.datasets.info(dataset).kind == "pairs" else "pictures"
        lines += [f"- {escape(f.title)}. {escape(f.rule)} {escape(f.way_out)}" for f in report.findings]
        split = report.split
        who = f" ({split.say_chosen()})" if split.chosen else ""
        groups = f"{len(split.together):,} groups of copies on one side"
        lines.append(f"{split.training:,} {noun} teach, {split.held_out:,} judge{who}, {groups}.")
        lines += [f"The report is in {html}."] if html else []
        emit(value, "\n".join(lines), as_json=as_json)
