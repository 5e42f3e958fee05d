"""The batch script of a run: what Slurm is asked for, and one `accelerate launch` on each machine that it gives."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from backends.contract.config import Config
from backends.contract.launch import DEFAULT_PORT, LaunchSettings
from backends.contract.rundir import RunDir
from studio.runs.command import REPOSITORY, Place, build_command, describe_environment
from studio.runs.launch_checks import gpus_a_machine, hardware_for, processes_a_machine

WARN_S = 120  # before the time limit: enough to finish a step and to save
HERE = Place("$SLURM_NODEID", "$MASTER_ADDR", "$MASTER_PORT")

# Told again in each task of srun, for only there a machine has its number.
_BODY = """
set -e
{exports}

# The exit code lies on disk, whatever becomes of Slurm's memory of the job.
LEFT="$RUN/control/job-$SLURM_JOB_ID"
leave() {{ echo "$?" > "$LEFT.tmp" && mv "$LEFT.tmp" "$LEFT.exit"; }}
trap leave EXIT
cd {studio}
{setup}

# Machine 0 leads: all meet at its address, at a port of this job's own.
FIRST="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
MASTER_ADDR="$(scontrol show node "$FIRST" -o | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')"
export MASTER_ADDR="${{MASTER_ADDR:-$FIRST}}" MASTER_PORT={port} SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"

# Near the time limit Slurm sends USR1 here: the file asks the trainer to save and to end.
near_the_end() {{ touch "$LEFT.time" "$RUN/control/stop"; }}
trap near_the_end USR1
set +e
srun --kill-on-bad-exit=1 bash -c {task} &
srun_pid=$!
while true; do
  wait "$srun_pid"; code=$?
  kill -0 "$srun_pid" 2>/dev/null || break  # else it was the signal that ended the waiting
done
exit "$code"
"""


def write_script(
    run: RunDir, config: Config, launch: LaunchSettings, *, cache: Path, name: str, resume: bool, command: list[str] | None
) -> Path:
    """Writes job.sbatch into the run's folder; gives its path.

    Args:
        run: Folder of the run, on a disk that the cluster's machines see at the same place.
        config: The run's settings.
        launch: What Slurm is asked for.
        cache: Folder for encoded pictures and captions, on such a disk too.
        name: The job's name.
        resume: Go on from the newest complete checkpoint.
        command: What each machine runs instead of the trainer that the settings ask for.
    """
    path = run.root / "job.sbatch"
    path.write_text(format_script(run, config, launch, cache=cache, name=name, resume=resume, command=command), "utf-8")
    path.chmod(0o755)
    return path


def format_script(
    run: RunDir, config: Config, launch: LaunchSettings, *, cache: Path, name: str, resume: bool, command: list[str] | None
) -> str:
    """The script's text. No secret stands in it: HF_TOKEN and the like travel in the environment that sbatch hands on."""
    hardware = hardware_for(config, launch)
    variables = {"RUN": str(run.root), "PYTHONPATH": str(REPOSITORY), **describe_environment(config, cache, hardware)}
    variables["OMP_NUM_THREADS"] = str(launch.slurm_cpus)
    own = command or build_command(config, run.root, hardware=hardware, launch=launch, place=HERE, python=_python(launch))
    task = _quote([*own, *(["--resume", "latest"] if resume else [])])
    head = ["#!/bin/bash", *(f"#SBATCH {option}" for option in list_options(run, config, launch, name=name))]
    exports = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
    body = _BODY.format(
        exports=exports,
        studio=shlex.quote(str(REPOSITORY)),
        setup="\n".join(launch.slurm_setup),
        port=launch.main_process_port or f"$(({DEFAULT_PORT} + SLURM_JOB_ID % 10000))",
        task=shlex.quote(f"exec {task}"),
    )
    return "\n".join(head) + "\n" + body


def list_options(run: RunDir, config: Config, launch: LaunchSettings, *, name: str) -> list[str]:
    """What Slurm is asked for, as sbatch's options."""
    each = processes_a_machine(config, launch)
    gpus = gpus_a_machine(config, launch)
    options = [f"--job-name={name}", f"--output={_path(run.log)}", "--open-mode=append", "--no-requeue"]
    options += [f"--nodes={launch.num_machines}", "--ntasks-per-node=1", f"--cpus-per-task={each * launch.slurm_cpus}"]
    if gpus:
        options.append(f"--gpus-per-node={launch.slurm_gpu_type}:{gpus}" if launch.slurm_gpu_type else f"--gpus-per-node={gpus}")
    given = {"partition": launch.slurm_partition, "account": launch.slurm_account, "time": launch.slurm_time, "mem": launch.slurm_memory}
    options += [f"--{option}={value}" for option, value in given.items() if value]
    options.append(f"--signal=B:USR1@{_warn_seconds(launch.slurm_time)}")
    return [*options, *launch.slurm_lines]


def read_seconds(limit: str) -> int:
    """Slurm's length of time in seconds: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS."""
    days, _, rest = limit.rpartition("-")
    parts = [int(p) for p in rest.split(":")]
    if days:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return int(days) * 86_400 + hours * 3600 + minutes * 60 + seconds
    if len(parts) == 3:
        return parts[0] * 3600 + parts[1] * 60 + parts[2]
    return parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)


def _warn_seconds(limit: str | None) -> int:
    """A short job is warned later, for a warning at its very start would end it."""
    return min(WARN_S, max(15, read_seconds(limit) // 5)) if limit else WARN_S


def _path(path: Path) -> str:
    """A path inside an #SBATCH line, where % begins a pattern of Slurm's."""
    text = str(path).replace("%", "%%")
    return text if re.fullmatch(r"[\w./+@=:%-]+", text) else '"' + text.replace('"', '\\"') + '"'


def _quote(command: list[str]) -> str:
    """The command as bash reads it: variables of ours stay variables, everything else is text."""
    return " ".join(f'"{word}"' if word in (HERE.rank, HERE.ip, HERE.port) else shlex.quote(word) for word in command)


def _python(launch: LaunchSettings) -> str:
    return str(Path(launch.slurm_venv).expanduser() / "bin" / "python") if launch.slurm_venv else sys.executable
