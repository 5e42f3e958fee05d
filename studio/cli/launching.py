"""Commands about starting trainings by hand or elsewhere: accelerate-config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backends.contract import files
from backends.contract.config import parse_config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from studio.cli.context import JsonOption
from studio.cli.output import emit, plain_errors
from studio.runs.accelerate_file import describe_accelerate, format_accelerate


def accelerate_config(
    file: Annotated[Path, typer.Argument(help="The YAML file to write, for accelerate launch --config_file.")],
    gpus: Annotated[int, typer.Option(help="GPUs on each machine; 0 is one process on the CPU.")] = 1,
    machines: Annotated[int, typer.Option(help="How many machines train together.")] = 1,
    rank: Annotated[int, typer.Option(help="Number of the machine that this file is for; 0 leads.")] = 0,
    ip: Annotated[str, typer.Option(help="Name or address of machine 0.")] = "",
    port: Annotated[int | None, typer.Option(help="Port of machine 0. Default: a free one, or 29500 on several machines.")] = None,
    precision: Annotated[str, typer.Option(help="no, fp16 or bf16.")] = "no",
    as_json: JsonOption = False,
) -> None:
    """Writes the configuration file of accelerate launch for so many GPUs."""
    with plain_errors(as_json=as_json):
        if file.suffix not in (".yaml", ".yml"):
            raise DarkroomError(f"“{file.name}” must end with .yaml: accelerate reads other names as JSON or not at all.")
        values = {"num_machines": machines, "machine_rank": rank, "main_process_ip": ip, "main_process_port": port}
        launch = parse_config(LaunchSettings, values)
        files.write_text(file, format_accelerate(launch, gpus=gpus, precision=precision))
        line = f"accelerate launch --config_file {file} -m backends.train --config RUN/config.yaml"
        value = {"file": str(file), "command": line, **describe_accelerate(launch, gpus=gpus, precision=precision)}
        total = value["num_processes"]
        words = f"Written to {file}. Start with it, in the studio’s folder:\n  {line}\nThe run’s num_processes must be {total}."
        emit(value, words, as_json=as_json)
