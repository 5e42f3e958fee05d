"""The command line's root: gathers the commands of this package."""

from __future__ import annotations

import typer

from studio.cli import captioning, captions, dataset, judging, launching, pictures, setup, training

app = typer.Typer(
    name="studio",
    help="Darkroom without a browser: data sets, captions, checks, trainings and pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(judging.app, name="dataset")  # the same, with what fills, arranges, edits and publishes data sets
app.add_typer(captions.app, name="captions")
app.add_typer(training.runs_app, name="runs")
app.add_typer(setup.app, name="setup")
app.command("setup-lavis")(setup.lavis)
app.command("caption")(captioning.caption)
app.command("check")(dataset.check)
app.command("train")(training.train)
app.command("demo")(training.demo)
app.command("backends")(training.backends)
app.command("accelerate-config")(launching.accelerate_config)
app.command("compare")(pictures.compare)
app.command("generate")(pictures.generate)
app.command("edit")(pictures.edit)
app.command("export")(pictures.export)


def main() -> None:
    """Runs the command line."""
    app()
