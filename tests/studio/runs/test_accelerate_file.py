"""The file for those who launch by hand: accelerate itself reads it and starts what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from typer.testing import CliRunner

from backends.contract.launch import LaunchSettings
from studio.cli.root import app
from studio.runs.accelerate_file import format_accelerate


def write(path, *options):
    done = CliRunner().invoke(app, ["accelerate-config", *map(str, options), str(path), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_eight_gpus_in_half_precision(tmp_path):
    code, value = write(tmp_path / "eight.yaml", "--gpus", 8, "--precision", "fp16")
    read = load_config_from_file(str(tmp_path / "eight.yaml"))
    assert (code, read.distributed_type.value, read.num_processes, read.mixed_precision) == (0, "MULTI_GPU", 8, "fp16")
    assert (read.num_machines, read.main_process_port, read.use_cpu, read.gpu_ids) == (1, 0, False, "all")
    assert f"--config_file {tmp_path / 'eight.yaml'}" in value["command"]


def test_two_machines_count_their_processes_together(tmp_path):
    options = ("--gpus", 8, "--machines", 2, "--rank", 1, "--ip", "node-1", "--port", 4000)
    assert write(tmp_path / "two.yml", *options)[0] == 0
    read = load_config_from_file(str(tmp_path / "two.yml"))
    assert (read.num_machines, read.machine_rank, read.num_processes) == (2, 1, 16)
    assert (read.main_process_ip, read.main_process_port, read.rdzv_backend) == ("node-1", 4000, "static")


def test_the_compiler_goes_where_accelerate_looks_for_it(tmp_path):
    (tmp_path / "file.yaml").write_text(format_accelerate(LaunchSettings(dynamo_backend="inductor"), gpus=1))
    assert load_config_from_file(str(tmp_path / "file.yaml")).dynamo_config == {"dynamo_backend": "INDUCTOR"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gpus", 17), "GPUs is 17; it must be a whole number from 0 to 16"),
        (("--precision", "fp8"), "must be one of no, fp16, bf16"),
        (("--gpus", 0, "--precision", "fp16"), "which needs a GPU"),
        (("--machines", 2), "give it with --ip"),
        (("--machines", 2, "--ip", "a", "--rank", 2), "counted from 0"),
        (("--port", 80), "from 1,024 to 65,535"),
    ],
)
def test_what_does_not_go_together_is_told_and_nothing_is_written(tmp_path, options, told):
    code, value = write(tmp_path / "bad.yaml", *options)
    assert code == 2
    assert told in value["error"]
    assert not (tmp_path / "bad.yaml").exists()


def test_a_name_that_accelerate_would_read_as_something_else_is_refused(tmp_path):
    assert "must end with .yaml" in write(tmp_path / "file.cfg")[1]["error"]


@pytest.mark.slow
def test_accelerate_launch_starts_as_many_ranks_as_the_file_says(tmp_path):
    """On CPUs in the place of GPUs, which the environment says."""
    write(tmp_path / "two.yaml", "--gpus", 2)
    script = tmp_path / "script.py"
    # One write a line: both ranks write into one pipe, and `print` writes word by word.
    script.write_text('import os; os.write(1, f\'RANK {os.environ["RANK"]} OF {os.environ["WORLD_SIZE"]}\\n\'.encode())')
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(tmp_path / "two.yaml"), str(script)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("RANK")) == ["RANK 0 OF 2", "RANK 1 OF 2"], done.stderr[
        -2000:
    ]
