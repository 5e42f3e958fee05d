"""The command that trains a run: `accelerate launch` with every flag written from the run's settings."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import psutil

from backends.contract.base_models import find_base_model
from backends.contract.config import Config
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.runs.hardware import Hardware, probe_hardware

REPOSITORY = Path(__file__).resolve().parents[2]
PLAIN_CONFIGURATION = Path(__file__).with_name("launchers") / "accelerate.yaml"
FEW_CORES = 4


def build_command(config: Config, run_root: Path, *, resume: bool = False, hardware: Hardware | None = None) -> list[str]:
    """The command as a list, never a line for a shell.

    Port 0 lets the launcher find a free one, so that two runs never meet on 29500.

    Args:
        config: The run's settings; `num_processes` and `mixed_precision` become flags.
        run_root: Folder of the run; its config.yaml is what the trainer reads.
        resume: Go on from the newest complete checkpoint.
        hardware: Of the machine that will train; looked up when not given.
    """
    flags = flags_of(config, hardware or probe_hardware())
    command = [sys.executable, "-m", "accelerate.commands.launch", *flags, "-m", "backends.train", "--config", str(RunDir(run_root).config)]
    return [*command, "--resume", "latest"] if resume else command


def flags_of(config: Config, hardware: Hardware) -> list[str]:
    """The launcher's flags; with a configuration of ours, for one that a person made for other work would turn the run."""
    on_gpu = bool(hardware.gpus)
    count = int(getattr(config, "num_processes", 1))
    precision = getattr(config, "mixed_precision", None) or "no"
    flags = ["--config_file", str(PLAIN_CONFIGURATION), "--num_processes", str(count)]
    flags += ["--num_machines", "1", "--machine_rank", "0", "--main_process_port", "0"]
    flags += ["--mixed_precision", precision if on_gpu else "no", "--dynamo_backend", "no"]
    if count > 1:
        flags.append("--multi_gpu")  # on CPUs too: only so are several ranks really started
    elif not on_gpu:
        flags.append("--cpu")
    return flags


def build_resume_command(config: Config, run_root: Path, *, hardware: Hardware | None = None) -> list[str]:
    """The same command with `--resume latest`, where there is a complete checkpoint to go on from; else the plain one."""
    return build_command(config, run_root, resume=bool(complete_checkpoints(RunDir(run_root))), hardware=hardware)


def format_command(command: list[str]) -> str:
    """The command as one line to copy into a terminal (in the studio's folder)."""
    plain = ["accelerate", "launch", *command[3:]] if command[1:3] == ["-m", "accelerate.commands.launch"] else command
    return shlex.join(plain)


def build_environment(config: Config, cache: Path, hardware: Hardware | None = None) -> dict[str, str]:
    """The trainer's environment: the app's own, plus what a run needs.

    Args:
        config: The run's settings.
        cache: Folder for encoded pictures and captions, shared by the runs of a workspace.
        hardware: Of the machine that will train; looked up when not given.
    """
    machine = hardware or probe_hardware()
    environment = {**os.environ, "DARKROOM_CACHE": str(cache), "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    if not machine.gpus:
        environment["ACCELERATE_USE_CPU"] = "true"
        if machine.cpu_cores <= FEW_CORES or (psutil.cpu_count() or 1) <= FEW_CORES:
            environment.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy small machine are slower than one
    base = find_base_model(str(getattr(config, "pretrained_model_name_or_path", "")))
    if base and base.bundled:
        environment["HF_HUB_OFFLINE"] = "1"
    return environment
