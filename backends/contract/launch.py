"""Where a run trains and how its processes are started: on this machine, on several, by Slurm, in a cloud.

How many processes there are and in which precision they compute stands in the training's settings, never here.
"""

from __future__ import annotations

import re
from typing import Literal

import yaml
from pydantic import field_validator

from backends.contract import files
from backends.contract.config import Config, parse_config, setting
from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir

LauncherName = Literal["local", "slurm", "skypilot"]
Cloud = Literal["runpod", "lambda", "vast", "paperspace", "gcp", "aws", "azure", "kubernetes"]
DEFAULT_PORT = 29500
OURS = ("job-name", "output", "open-mode", "chdir", "nodes", "ntasks", "ntasks-per-node", "signal", "requeue", "no-requeue", "export")

_WORD = re.compile(r"[\w.,@+-]+")
_HOST = re.compile(r"[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?")
_TIME = re.compile(r"\d+(:\d{1,2}){0,2}|\d+-\d{1,2}(:\d{2}){0,2}")
_MEMORY = re.compile(r"\d+[KMGT]?")
_LINE = re.compile(r"--([a-z][a-z-]*)(=.+)?")
_CARD = re.compile(r"[A-Za-z][\w-]*(:\d{1,2})?")
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_BOUND = {
    "main_process_ip": (_HOST, "a name or an address, such as node-1 or 10.0.0.4"),
    "slurm_partition": (_WORD, "a partition’s name without spaces, as sinfo lists it"),
    "slurm_account": (_WORD, "an account’s name without spaces"),
    "slurm_gpu_type": (_WORD, "a kind of GPU as your cluster calls it, such as a100"),
    "slurm_time": (_TIME, "a length of time as Slurm writes it: 90 (minutes), 04:00:00 or 2-00:00:00"),
    "slurm_memory": (_MEMORY, "a number with M, G or T behind it, such as 64G"),
    "sky_region": (_WORD, "a region’s name without spaces, such as us-east-1"),
}
_BOUND_LINES = {
    "slurm_lines": (_LINE, "an option as sbatch writes it, such as --qos=high"),
    "sky_accelerators": (_CARD, "a kind of GPU with their number, such as A100-80GB:8"),
    "sky_secrets": (_NAME, "the name of an environment variable in capitals, such as HF_TOKEN; never its value"),
}


class LaunchSettings(Config):
    """Where one run trains; frozen beside its training settings."""

    launcher: LauncherName = setting(
        "local", "Runs on", "local (this machine), slurm (a cluster) or skypilot (a cloud).", group="launch", widget="choice"
    )
    num_machines: int = setting(
        1, "Machines", "1 to 256. They share the processes evenly; all see the same workspace.", group="launch", ge=1, le=256
    )
    machine_rank: int = setting(
        0, "This machine’s number", "0 to 255, below the number of machines; 0 leads.", group="launch", ge=0, le=255
    )
    main_process_ip: str | None = setting(
        None, "Address of machine 0", "A name or an address that every machine reaches, or empty for one machine.", group="launch"
    )
    main_process_port: int | None = setting(
        None,
        "Port of machine 0",
        f"1,024 to 65,535, or empty: a free one on one machine, {DEFAULT_PORT} on several.",
        group="launch",
        ge=1024,
        le=65_535,
    )
    gpus_per_machine: int | None = setting(
        None, "GPUs a machine", "0 to 16, or empty for as many as there are processes; 0 trains on CPUs.", group="launch", ge=0, le=16
    )
    distribution: Literal["ddp", "fsdp2", "deepspeed"] = setting(
        "ddp",
        "Shares the work by",
        "One of three. ddp: a whole model on each GPU. fsdp2: all weights that are trained, divided over the GPUs, where memory is short.",
        group="launch",
        widget="choice",
    )
    dynamo_backend: Literal["no", "inductor", "aot_eager", "cudagraphs"] = setting(
        "no", "Compiles by", "One of four. inductor compiles the model first: minutes at the start, faster steps.",
        group="launch", widget="choice")  # fmt: skip

    # Slurm
    slurm_partition: str | None = setting(None, "Partition", "A name as sinfo lists it, or empty for the cluster’s own.", group="slurm")
    slurm_account: str | None = setting(None, "Account", "A name, or empty for your own.", group="slurm")
    slurm_time: str | None = setting(
        None, "Time limit", "90 (minutes), 04:00:00 or 2-00:00:00, or empty. Two minutes before it the run saves.", group="slurm"
    )
    slurm_memory: str | None = setting(None, "Memory a machine", "Such as 64G, or empty for the cluster’s own rule.", group="slurm")
    slurm_cpus: int = setting(4, "CPU cores a process", "1 to 256. Decoding pictures uses them.", group="slurm", ge=1, le=256)
    slurm_gpu_type: str | None = setting(None, "Kind of GPU", "As your cluster calls it, such as a100, or empty for any.", group="slurm")
    slurm_lines: list[str] = setting(
        [], "More options", "Up to 20, one a line, as sbatch writes them: --qos=high", group="slurm", widget="lines", max_length=20
    )
    slurm_setup: list[str] = setting(
        [], "Commands before it starts", "Up to 40, one a line, for bash: module load cuda/12.8", group="slurm", widget="lines",
        max_length=40)  # fmt: skip
    slurm_venv: str | None = setting(
        None, "Python environment", "A folder with bin/python that the cluster sees, or empty for the studio’s own.", group="slurm",
        widget="path", max_length=1000)  # fmt: skip

    # Cloud
    sky_cloud: Cloud | None = setting(
        None, "Provider", "One of eight, or empty for the cheapest you have set up.", group="cloud", widget="choice"
    )
    sky_accelerators: list[str] = setting(
        [], "Kinds of GPU", "Up to 8, one a line, such as A100-80GB:1; any of them will do. Empty: what the forecast needs.",
        group="cloud", widget="lines", max_length=8)  # fmt: skip
    sky_disk_gb: int = setting(
        256, "Disk", "50 to 10,000 GB for base model, pictures and checkpoints.", group="cloud", unit="GB", ge=50, le=10_000
    )
    sky_spot: bool = setting(
        False, "Spot machines", "On or off. Cheaper; may be taken away, then Resume goes on.", group="cloud", widget="switch"
    )
    sky_region: str | None = setting(None, "Region", "A region’s name, or empty for any.", group="cloud")
    sky_secrets: list[str] = setting(
        ["HF_TOKEN"], "Secrets handed on", "Up to 8 names of environment variables, one a line; their values are never written down.",
        group="cloud", widget="lines", max_length=8)  # fmt: skip
    sky_setup: list[str] = setting(
        [], "Commands after the install", "Up to 40, one a line, for bash, on each new machine.", group="cloud", widget="lines",
        max_length=40)  # fmt: skip

    @field_validator("*", mode="before")
    @classmethod
    def _as_forms_give_it(cls, value: object, info: object) -> object:
        """A form gives an empty text where a setting is left open, and one text for several lines."""
        default = cls.model_fields[info.field_name].default  # type: ignore[attr-defined]
        if isinstance(default, list):
            lines = value.splitlines() if isinstance(value, str) else value
            return [line.strip() for line in lines if str(line).strip()] if isinstance(lines, list) else lines
        return None if default is None and isinstance(value, str) and not value.strip() else value

    @field_validator(*_BOUND, "slurm_venv")
    @classmethod
    def _one_word(cls, value: str | None, info: object) -> str | None:
        name = info.field_name  # type: ignore[attr-defined]
        if value is None:
            return None
        plain = value.strip()
        title = cls.model_fields[name].title
        if name in _BOUND and not _BOUND[name][0].fullmatch(plain):
            raise ValueError(f"{title} is “{value}”; it must be {_BOUND[name][1]}.")
        if not plain.isprintable():
            raise ValueError(f"{title} has characters that cannot be printed; type it anew.")
        return plain

    @field_validator(*_BOUND_LINES, "slurm_setup", "sky_setup")
    @classmethod
    def _plain_lines(cls, values: list[str], info: object) -> list[str]:
        name = info.field_name  # type: ignore[attr-defined]
        title = cls.model_fields[name].title
        for value in values:
            if not value.replace("\t", " ").isprintable():
                raise ValueError(f"{title}: “{value[:60]}” has characters that cannot be printed; type it anew.")
            if name in _BOUND_LINES and not _BOUND_LINES[name][0].fullmatch(value):
                shown = "that does not fit" if name == "sky_secrets" else f"“{value[:60]}”"  # it may be the secret itself
                raise ValueError(f"{title} has a line {shown}; each must be {_BOUND_LINES[name][1]}.")
            option = value[2:].partition("=")[0]
            if name == "slurm_lines" and option in OURS:
                raise ValueError(f"{title} has --{option}, which the studio writes itself. Take the line out.")
        return values

    @property
    def port(self) -> int:
        """The port of machine 0; 0 lets the launcher find a free one, which only one machine can do."""
        return self.main_process_port or (DEFAULT_PORT if self.num_machines > 1 else 0)

    @property
    def is_local(self) -> bool:
        """Whether the run's processes are started here, and so take this machine's device."""
        return self.launcher == "local"


def write_launch(run: RunDir, settings: LaunchSettings) -> None:
    """Writes launch.yaml, complete, beside the run's settings."""
    files.write_text(run.launch, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def read_launch(run: RunDir) -> LaunchSettings:
    """The run's launch settings; a run without launch.yaml is one of this machine.

    Raises:
        DarkroomError: When launch.yaml is there and cannot be read.
    """
    try:
        values = yaml.safe_load(run.launch.read_text("utf-8"))
    except FileNotFoundError:
        return LaunchSettings()
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{run.launch} cannot be read as launch settings: {error}") from None
    if not isinstance(values, dict):
        raise DarkroomError(f"{run.launch} holds no settings. Delete the file to run on this machine.")
    return parse_config(LaunchSettings, values)
