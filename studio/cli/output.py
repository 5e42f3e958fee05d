"""What the commands print: words and bars for people on stderr and stdout, one JSON object for machines on stdout."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from backends.contract.config import ConfigFaults
from backends.contract.errors import DarkroomError

people = Console(stderr=True, highlight=False)
results = Console(highlight=False)


def emit(value: dict[str, Any] | list[dict[str, Any]], text: str | Table, *, as_json: bool) -> None:
    """Prints a command's result once: as JSON for machines or as words for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    else:
        results.print(text, soft_wrap=isinstance(text, str))  # a path or a command must come out in one piece


def table(columns: list[str], rows: list[list[Any]]) -> Table:
    """A plain table; empty cells for None."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    return grid


def bar(*, quiet: bool) -> Progress:
    """A progress bar on stderr with count, time so far and time left; silent for machines."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=people, disable=quiet, transient=False)


@contextlib.contextmanager
def plain_errors(*, as_json: bool) -> Iterator[None]:
    """Turns every fault that a person can mend into sentences and exit code 2, without a traceback."""
    try:
        yield
    except DarkroomError as error:
        faults = error.faults if isinstance(error, ConfigFaults) else []
        if as_json:
            sys.stdout.write(json.dumps({"error": error.text, "field": error.field, "faults": [f.model_dump() for f in faults]}) + "\n")
        else:
            people.print(f"[bold red]Not done.[/] {escape(error.text)}", soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        text = f"{Path(error.filename).name if error.filename else 'The disk'}: {error.strerror or error}. Nothing was lost."
        if as_json:
            sys.stdout.write(json.dumps({"error": text, "field": None, "faults": []}) + "\n")
        else:
            people.print(f"[bold red]Not done.[/] {escape(text)}", soft_wrap=True)
        raise typer.Exit(2) from None


def escape(text: str) -> str:
    """`text` with rich's brackets made harmless."""
    return text.replace("[", r"\[")


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`["rank=8"]` -> `{"rank": "8"}`; the config checks the values."""
    changes: dict[str, Any] = {}
    for item in settings:
        key, sign, value = item.partition("=")
        if not sign:
            raise DarkroomError(f"“{item}” is not a setting. Write it as name=value, for example learning_rate=1e-4.")
        changes[key.strip()] = value
    return changes
