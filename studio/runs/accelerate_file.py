"""The configuration file of `accelerate launch`, for those who start trainings by hand."""

from __future__ import annotations

from typing import Any

import yaml

from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings

PRECISIONS = ("no", "fp16", "bf16")


def describe_accelerate(launch: LaunchSettings, *, gpus: int, precision: str = "no") -> dict[str, Any]:
    """What stands in the file.

    Args:
        launch: Machines, their ranks and address, and the compiler.
        gpus: On each machine; 0 trains on the CPU with one process.
        precision: no, fp16 or bf16.

    Raises:
        DarkroomError: When these do not go together.
    """
    machines = launch.num_machines
    if precision not in PRECISIONS:
        raise DarkroomError(f"Precision is “{precision}”; it must be one of {', '.join(PRECISIONS)}.", field="mixed_precision")
    if not 0 <= gpus <= 16:
        raise DarkroomError(f"GPUs is {gpus}; it must be a whole number from 0 to 16, on each machine.", field="gpus_per_machine")
    if not gpus and precision == "fp16":
        raise DarkroomError("Precision is fp16, which needs a GPU, and GPUs is 0. Choose no or bf16.", field="mixed_precision")
    if not gpus and machines > 1:
        raise DarkroomError(f"GPUs is 0 and Machines is {machines}; this file is for GPUs on several machines. Give 1 or more.")
    if launch.machine_rank >= machines:
        raise DarkroomError(f"The rank is {launch.machine_rank} of {machines} machines; they are counted from 0.", field="machine_rank")
    if machines > 1 and not launch.main_process_ip:
        raise DarkroomError("Several machines need the address of machine 0: give it with --ip.", field="main_process_ip")
    together = gpus * machines
    about: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        "distributed_type": "MULTI_GPU" if together > 1 else "NO",
        "machine_rank": launch.machine_rank,
        "main_training_function": "main",
        "mixed_precision": precision,
        "num_machines": machines,
        "num_processes": max(1, together),  # over all machines
        "main_process_port": launch.port,
        "use_cpu": not gpus,
    }
    if machines > 1:
        about |= {"main_process_ip": launch.main_process_ip, "rdzv_backend": "static"}
    if gpus:
        about["gpu_ids"] = "all"
    if launch.dynamo_backend != "no":
        about["dynamo_config"] = {"dynamo_backend": launch.dynamo_backend.upper()}
    return about


def format_accelerate(launch: LaunchSettings, *, gpus: int, precision: str = "no") -> str:
    """The file's text."""
    return yaml.safe_dump(describe_accelerate(launch, gpus=gpus, precision=precision), sort_keys=True)
