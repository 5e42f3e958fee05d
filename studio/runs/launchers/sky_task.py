"""The SkyPilot task of a run: which machine it wants, what is brought there, what is installed and run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from backends.contract.base_models import ModelSource, parse_source
from backends.contract.config import Config
from backends.contract.division import count_pieces
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from backends.contract.rundir import RunDir
from backends.contract.vae_source import parse_vae_source
from studio.runs.command import PLAIN_CONFIGURATION, REPOSITORY, Place, build_command, describe_environment
from studio.runs.cost import compute_memory_parts
from studio.runs.extra_packages import find_extra_packages
from studio.runs.launch_checks import GPU_MEMORY_GB, gpus_a_machine, hardware_for

PYTHON = "$HOME/darkroom-env/bin/python"
CACHE = "/tmp/darkroom-cache"
SPARE = 1.05  # a card is never empty
KINDS = 6
_OWN = ("output_dir", "cache_dir", "resume_from_checkpoint")  # the run's own, or made there anew
WITHOUT_BF16 = ("V100-32GB", "V100", "P100", "T4")


class _Dumper(yaml.SafeDumper):
    """Writes commands line by line, as a person would."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def name_cluster(run: RunDir) -> str:
    """The cluster's name: of letters, digits and dashes, as every provider takes it."""
    return f"darkroom-{re.sub(r'[^a-z0-9]+', '-', run.root.name.lower()).strip('-')}"[:40].rstrip("-")


def format_task(run: RunDir, config: Config, launch: LaunchSettings, *, secrets: list[str], resume: bool = False) -> str:
    """The task file's text.

    Args:
        run: Folder of the run; it lies at the same path on the machine.
        config: The run's settings.
        launch: Provider, kinds of GPU, disk and what else is asked for.
        secrets: Names of environment variables that are handed on when it is launched; no value is ever written here.
        resume: Go on from the newest complete checkpoint.
    """
    task: dict[str, Any] = {"name": name_cluster(run), "num_nodes": 1, "workdir": str(REPOSITORY)}
    task["resources"] = describe_resources(config, launch)
    task["file_mounts"] = {str(path): str(path) for path in list_folders(run, config)}
    task["envs"] = describe_environment(config, Path(CACHE), hardware_for(config, launch))
    if secrets:
        task["secrets"] = dict.fromkeys(secrets)
    task["setup"] = "\n".join(_describe_setup(config, launch)) + "\n"
    task["run"] = _describe_run(run, config, launch, resume=resume) + "\n"
    return yaml.dump(task, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def write_task(run: RunDir, config: Config, launch: LaunchSettings, *, secrets: list[str], resume: bool = False) -> Path:
    """Writes task.yaml into the run's folder; gives its path."""
    path = run.root / "task.yaml"
    path.write_text(format_task(run, config, launch, secrets=secrets, resume=resume), "utf-8")
    return path


def describe_resources(config: Config, launch: LaunchSettings) -> dict[str, Any]:
    """What the machine must have: any of the kinds of GPU that were named, or of those that the forecast finds large enough."""
    wanted: dict[str, Any] = {"disk_size": launch.sky_disk_gb, "use_spot": launch.sky_spot}
    if launch.sky_cloud:
        wanted["infra"] = launch.sky_cloud + (f"/{launch.sky_region}" if launch.sky_region else "")
    elif launch.sky_region:
        wanted["infra"] = f"*/{launch.sky_region}"
    count = gpus_a_machine(config, launch)
    if not count:
        return {**wanted, "cpus": "8+"}
    new = getattr(config, "mixed_precision", None) == "bf16"
    kinds = launch.sky_accelerators or choose_kinds(compute_need_gb(config, launch), new=new)
    return {**wanted, "any_of": [{"accelerators": kind if ":" in kind else f"{kind}:{count}"} for kind in kinds]}


def compute_need_gb(config: Config, launch: LaunchSettings) -> float:
    """GPU memory that one process takes at its worst moment, in 10**9 bytes, as the forecast counts it."""
    return sum(size for _, size in compute_memory_parts(config, hardware_for(config, launch), count_pieces(config, launch)))


def choose_kinds(need_gb: float, *, new: bool = False) -> list[str]:
    """The smallest kinds of GPU that are large enough; SkyPilot takes the cheapest that can be had. `new` ones know bf16.

    Raises:
        DarkroomError: When none is.
    """
    enough = sorted(
        (memory, name) for name, memory in GPU_MEMORY_GB.items() if memory >= need_gb * SPARE and not (new and name in WITHOUT_BF16)
    )
    if not enough:
        text = f"It needs {need_gb:.0f} GB on each GPU; the largest there is has {max(GPU_MEMORY_GB.values())} GB. Lower the batch size."
        raise DarkroomError(text, field="train_batch_size")
    return [name for _, name in enough[:KINDS]]


def list_folders(run: RunDir, config: Config) -> list[Path]:
    """What the machine needs of this one, each at its own path: the run, its pictures, a base model and a VAE of one's own."""
    folders = {run.root}
    if run.manifest.is_file():
        for line in run.manifest.read_text("utf-8").splitlines():
            row = json.loads(line)
            folders |= {Path(row[key]).parent for key in ("file", "input_file", "mask_file") if row.get(key)}
    named = [Path(str(getattr(config, name))).expanduser() for name in _list_path_settings(config) if getattr(config, name)]
    wanted = {path for path in (*named, *_list_model_places(config)) if path.is_absolute() and path.exists()}
    return sorted(folders | {path for path in wanted if not path.is_relative_to(REPOSITORY)})


def _list_path_settings(config: Config) -> list[str]:
    """Settings that name a folder or file which the trainer reads."""
    shown = {name: field.json_schema_extra for name, field in type(config).model_fields.items() if name not in _OWN}
    return [name for name, extra in shown.items() if isinstance(extra, dict) and extra.get("widget") == "path"]


def _list_model_places(config: Any) -> Iterator[Path]:
    """Folders and files of this machine that the base model and the VAE are read from."""
    source: ModelSource | None = parse_source(config.pretrained_model_name_or_path)
    while source:
        if source.kind != "hub":
            yield source.path
        source = source.rest
    if config.pretrained_vae_model_name_or_path and (vae := parse_vae_source(config.pretrained_vae_model_name_or_path)).kind != "hub":
        yield Path(vae.place)


def _describe_setup(config: Config, launch: LaunchSettings) -> list[str]:
    extra = sorted({package.name for package in find_extra_packages(config)} - {"tensorboard"})  # requirements.txt has that
    install = f'uv pip install -q --python "{PYTHON}" -r requirements.txt'
    lines = ["set -e", 'export PATH="$HOME/.local/bin:$PATH"', "command -v uv > /dev/null || python3 -m pip install -q --user uv"]
    lines += [f'[ -x "{PYTHON}" ] || uv venv -q --python 3.12 "$HOME/darkroom-env"', " ".join([install, *extra])]
    return [*lines, *launch.sky_setup]


def _describe_run(run: RunDir, config: Config, launch: LaunchSettings, *, resume: bool) -> str:
    """In the folder of the studio's copy there; on one machine, for the machines of a cloud share no disk."""
    place, hardware = Place("0", "", "0"), hardware_for(config, launch)
    command = build_command(config, run.root, resume=resume, hardware=hardware, launch=launch, place=place, python=PYTHON)
    plain = str(PLAIN_CONFIGURATION)
    words = [str(PLAIN_CONFIGURATION.relative_to(REPOSITORY)) if word == plain else word for word in command]
    return " ".join(f'"{word}"' if word == PYTHON else shlex.quote(word) for word in words)
