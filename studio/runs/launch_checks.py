"""What is wrong with where a run is to train, found before anything starts, all at once; and what machine that will be."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from backends.contract.config import Config, ConfigFaults, Fault
from backends.contract.division import find_division_faults
from backends.contract.launch import LaunchSettings
from studio.runs.command import OWN_TRAINER, count_processes, trainer_of
from studio.runs.gpu_needs import find_gpu_needs
from studio.runs.hardware import Gpu, Hardware, describe_hardware, probe_hardware

# Memory of the cards that clusters and clouds have, in 10**9 bytes, under the names that they use there.
GPU_MEMORY_GB: dict[str, int] = {
    "B200": 180,
    "H200": 141,
    "H100": 80,
    "A100-80GB": 80,
    "A100": 40,
    "L40S": 48,
    "L40": 48,
    "RTX6000-Ada": 48,
    "RTXA6000": 48,
    "A6000": 48,
    "A40": 48,
    "RTX4090": 24,
    "RTX3090": 24,
    "A10G": 24,
    "A10": 24,
    "L4": 24,
    "V100-32GB": 32,
    "V100": 16,
    "P100": 16,
    "T4": 16,
}
UNKNOWN_GPU_GB = 80.0
NEEDED = {"slurm": ("sbatch", "Slurm’s commands (sbatch, squeue, scancel)"), "skypilot": ("sky", "SkyPilot (pip install skypilot)")}


def check_launch(config: Config, launch: LaunchSettings, here: Hardware | None = None) -> list[Fault]:
    """Every fault of the launch settings against the run's settings and this machine."""
    here = here or probe_hardware()
    found = [*find_division_faults(config, launch), *_check_machines(config, launch), *_check_gpus(config, launch, here)]
    found += [*_check_tools(launch), *_check_secrets(launch), *_check_python(launch), *_check_trainer(config, launch)]
    if launch.dynamo_backend == "cudagraphs" and not hardware_for(config, launch, here).gpus:
        text = "Compiles by is cudagraphs, which needs a GPU; there is none. Choose no or inductor."
        found.append(Fault(field="dynamo_backend", text=text))
    return found


def require_launch(config: Config, launch: LaunchSettings, here: Hardware | None = None) -> None:
    """The same as an exception.

    Raises:
        ConfigFaults: With every fault at its field.
    """
    faults = check_launch(config, launch, here)
    if faults:
        raise ConfigFaults(faults)


def processes_a_machine(config: Config, launch: LaunchSettings) -> int:
    """How many processes each machine starts."""
    return max(1, count_processes(config) // launch.num_machines)


def gpus_a_machine(config: Config, launch: LaunchSettings) -> int:
    """How many GPUs a cluster or cloud is asked for, for each machine: as many as it starts processes, or as many as were set."""
    return processes_a_machine(config, launch) if launch.gpus_per_machine is None else launch.gpus_per_machine


def hardware_for(config: Config, launch: LaunchSettings, here: Hardware | None = None) -> Hardware:
    """The machine that will train, as far as it is known before it has been given out.

    A GPU of an unknown kind counts as one of 80 GB: what does not fit there fits nowhere.
    """
    here = here or probe_hardware()
    if launch.is_local:
        return here if launch.gpus_per_machine != 0 else describe_hardware([], here.cpu_cores, here.memory_gb)
    count = gpus_a_machine(config, launch)
    kind = (launch.slurm_gpu_type or "") if launch.launcher == "slurm" else (launch.sky_accelerators or [""])[0].partition(":")[0]
    memory = find_gpu_memory(kind)
    card = Gpu(kind or "a GPU", memory or UNKNOWN_GPU_GB, memory or UNKNOWN_GPU_GB)
    cores = launch.slurm_cpus * processes_a_machine(config, launch)
    return describe_hardware([card] * count, cores, _memory_gb(launch) or here.memory_gb)


def find_gpu_memory(kind: str) -> float:
    """Memory of a kind of GPU by its name on a cluster or in a cloud; 0 where it is not known."""
    plain = re.sub(r"[^a-z0-9]+", "-", kind.lower())
    for name, memory in GPU_MEMORY_GB.items():  # longer names stand before those that they begin with
        if re.search(rf"(?<![a-z0-9]){name.lower()}(?![a-z0-9])", plain):
            return float(memory)
    return 0.0


def _memory_gb(launch: LaunchSettings) -> float:
    given = launch.slurm_memory if launch.launcher == "slurm" else None
    if not given:
        return 0.0
    factor = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(given[-1], 0.0)
    return float(given[:-1]) * factor / 1e9 if factor else float(given) / 1e3  # Slurm counts in MB


def _check_machines(config: Config, launch: LaunchSettings) -> list[Fault]:
    found, machines, total = [], launch.num_machines, count_processes(config)
    if launch.machine_rank >= machines:
        text = f"This machine’s number is {launch.machine_rank} of {machines}; they are counted from 0, so {machines - 1} is the last."
        found.append(Fault(field="machine_rank", text=text))
    if total % machines or total < machines:
        near = max(1, round(total / machines)) * machines
        text = f"Machines is {machines} and GPUs (num_processes, over all of them) is {total}; they must share evenly. Nearest: {near}."
        found.append(Fault(field="num_machines", text=text))
    if machines > 1 and launch.launcher == "skypilot":
        text = (
            f"Machines is {machines}; those of a cloud share no disk, which the trainer needs. Set it to 1 and choose one with more GPUs."
        )
        found.append(Fault(field="num_machines", text=text))
    if machines > 1 and launch.is_local and not launch.main_process_ip:
        text = "Address of machine 0 is empty; with several machines each must reach it. Give its name or address, such as 10.0.0.4."
        found.append(Fault(field="main_process_ip", text=text))
    return found


def _check_gpus(config: Config, launch: LaunchSettings, here: Hardware) -> list[Fault]:
    each, given = processes_a_machine(config, launch), launch.gpus_per_machine
    if given and each > given:
        text = (
            f"GPUs (num_processes) is {count_processes(config)} over {_count(launch.num_machines, 'machine')}, which makes {each} a "
            f"machine; GPUs a machine is {given}. Lower the one or raise the other."
        )
        return [Fault(field="gpus_per_machine", text=text)]
    have = len(here.gpus)
    if launch.is_local and given and given > have:
        text = f"GPUs a machine is {given}; this one has {have}. Set it to {have}, or leave it empty."
        return [Fault(field="gpus_per_machine", text=text)]
    if launch.is_local and launch.num_machines > 1 and have and each > have:
        text = (
            f"{each} processes a machine were asked for; this machine has {_count(have, 'GPU')}. Set GPUs to {have * launch.num_machines}."
        )
        return [Fault(field="num_processes", text=text)]
    needs = find_gpu_needs(config) if given == 0 and (have or not launch.is_local) else []
    return [
        Fault(field=need.field, text=f"{need.said}, which needs a GPU, and GPUs a machine is 0. {need.way}, or ask for GPUs.")
        for need in needs
    ]


def _check_tools(launch: LaunchSettings) -> list[Fault]:
    program, words = NEEDED.get(launch.launcher, ("", ""))
    if not program or shutil.which(program):
        return []
    place = "slurm: sign in to a machine of the cluster and run Darkroom there" if launch.launcher == "slurm" else "install it"
    return [Fault(field="launcher", text=f"Runs on is {launch.launcher}, and {words} cannot be found here. Choose local, or {place}.")]


def _check_trainer(config: Config, launch: LaunchSettings) -> list[Fault]:
    if trainer_of(config) == OWN_TRAINER or (launch.is_local and launch.num_machines == 1):
        return []
    text = "ai-toolkit trains on this machine alone. Choose local and one machine, or train it with flux/text_to_image."
    return [Fault(field="launcher", text=text)]


def _check_secrets(launch: LaunchSettings) -> list[Fault]:
    default = LaunchSettings.model_fields["sky_secrets"].default
    missing = [name for name in launch.sky_secrets if name not in default and not os.environ.get(name)]
    if launch.launcher != "skypilot" or not missing:
        return []
    text = f"Secrets handed on names {', '.join(missing)}, not set in the environment of Darkroom. Set it before the start, or take it out."
    return [Fault(field="sky_secrets", text=text)]


def _check_python(launch: LaunchSettings) -> list[Fault]:
    folder = Path(launch.slurm_venv).expanduser() if launch.slurm_venv and launch.launcher == "slurm" else None
    if folder is None or (folder / "bin" / "python").exists():
        return []
    text = f"Python environment is {folder}; there is no bin/python in it. Give the folder of an environment that the cluster sees."
    return [Fault(field="slurm_venv", text=text)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
