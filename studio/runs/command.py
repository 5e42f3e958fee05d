"""The command that trains a run: `accelerate launch` with every flag written from the run's settings."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from backends.contract.base_models import is_bundled
from backends.contract.config import Config
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.hardware import Hardware, probe_hardware

REPOSITORY = Path(__file__).resolve().parents[2]
PLAIN_CONFIGURATION = Path(__file__).with_name("launchers") / "accelerate.yaml"
FEW_CORES = 4
OWN_TRAINER = "backends.train"


@dataclass(frozen=True)
class Place:
    """One machine among those of a run, as text: a batch script has the names of shell variables here."""

    rank: str
    ip: str
    port: str


def place_of(launch: LaunchSettings, rank: int | None = None) -> Place:
    """The place of this machine, or of the one with another rank."""
    return Place(str(launch.machine_rank if rank is None else rank), launch.main_process_ip or "", str(launch.port))


def build_command(
    config: Config,
    run_root: Path,
    *,
    resume: bool = False,
    hardware: Hardware | None = None,
    launch: LaunchSettings | None = None,
    place: Place | None = None,
    python: str = sys.executable,
) -> list[str]:
    """The command as a list, never a line for a shell.

    On one machine port 0 lets the launcher find a free one, so that two runs never meet on 29500.

    Args:
        config: The run's settings; `num_processes` and `mixed_precision` become flags.
        run_root: Folder of the run; its config.yaml is what the trainer reads.
        resume: Go on from the newest complete checkpoint.
        hardware: Of the machine that will train; looked up when not given.
        launch: Over how many machines, and compiled or not; one machine when not given.
        place: Which of the machines this command is for; this one when not given.
        python: The interpreter that has the trainer's packages.
    """
    trainer = trainer_of(config)
    command = [python, "-m", trainer, "--config", str(RunDir(run_root).config)]
    if trainer == OWN_TRAINER:
        command[2:2] = ["accelerate.commands.launch", *flags_of(config, hardware or probe_hardware(), launch, place), "-m"]
    return [*command, "--resume", "latest"] if resume else command


def trainer_of(config: Config) -> str:
    """The module that trains: ours under `accelerate launch`, or one that drives another program and needs no launcher."""
    return str(getattr(config, "trainer", OWN_TRAINER))


def flags_of(config: Config, hardware: Hardware, launch: LaunchSettings | None = None, place: Place | None = None) -> list[str]:
    """The launcher's flags; with a configuration of ours, for one that a person made for other work would turn the run."""
    launch = launch or LaunchSettings()
    place = place or place_of(launch)
    on_gpu = bool(hardware.gpus)
    count = count_processes(config)
    precision = getattr(config, "mixed_precision", None) or "no"
    flags = ["--config_file", str(PLAIN_CONFIGURATION), "--num_processes", str(count)]
    flags += ["--num_machines", str(launch.num_machines), "--machine_rank", place.rank, "--main_process_port", place.port]
    if launch.num_machines > 1:
        flags += ["--main_process_ip", place.ip, "--rdzv_backend", "static"]
    flags += ["--mixed_precision", precision if on_gpu else "no", "--dynamo_backend", launch.dynamo_backend]
    if count > 1:
        flags.append("--multi_gpu")  # on CPUs too: only so are several ranks really started
    elif not on_gpu:
        flags.append("--cpu")
    return flags


def count_processes(config: Config) -> int:
    """How many processes train, over all machines."""
    return int(getattr(config, "num_processes", 1))


def build_resume_command(config: Config, run_root: Path, *, hardware: Hardware | None = None) -> list[str]:
    """The same command with `--resume latest`, where there is a complete checkpoint to go on from; else the plain one."""
    return build_command(config, run_root, resume=bool(complete_checkpoints(RunDir(run_root))), hardware=hardware)


def format_command(command: list[str]) -> str:
    """The command as one line to copy into a terminal (in the studio's folder)."""
    plain = ["accelerate", "launch", *command[3:]] if command[1:3] == ["-m", "accelerate.commands.launch"] else command
    return shlex.join(plain)


def format_lines(config: Config, run_root: Path, launch: LaunchSettings, hardware: Hardware | None = None) -> list[tuple[str, str]]:
    """(which machine, the exact line for a terminal in the studio's folder there), one for each of a run's machines.

    Ranks on CPUs are started only with ACCELERATE_USE_CPU in the environment, so the line sets it where it must.
    """
    hardware = hardware or probe_hardware()
    before = "ACCELERATE_USE_CPU=true " if count_processes(config) > 1 and not hardware.gpus else ""
    lines = []
    for rank in range(launch.num_machines):
        command = build_command(config, run_root, hardware=hardware, launch=launch, place=place_of(launch, rank))
        here = ", this one" if rank == launch.machine_rank else ""
        title = f"Machine {rank}{here}" if launch.num_machines > 1 else ""
        lines.append((title, before + format_command(command)))
    return lines


def build_environment(config: Config, cache: Path, hardware: Hardware | None = None) -> dict[str, str]:
    """The trainer's environment: the app's own, plus what a run needs.

    Args:
        config: The run's settings.
        cache: Folder for encoded pictures and captions, shared by the runs of a workspace.
        hardware: Of the machine that will train; looked up when not given.
    """
    machine = hardware or probe_hardware()
    environment = {**os.environ, **describe_environment(config, cache, machine)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    if not machine.gpus and (machine.cpu_cores <= FEW_CORES or (psutil.cpu_count() or 1) <= FEW_CORES):
        environment.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy small machine are slower than one
    return environment


def describe_environment(config: Config, cache: Path, hardware: Hardware) -> dict[str, str]:
    """What a run wants in its environment wherever it trains; nothing of it is secret."""
    environment = {"DARKROOM_CACHE": str(cache), "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    if not hardware.gpus:
        environment["ACCELERATE_USE_CPU"] = "true"
    if is_bundled(str(getattr(config, "pretrained_model_name_or_path", ""))):
        environment["HF_HUB_OFFLINE"] = "1"
    return environment
