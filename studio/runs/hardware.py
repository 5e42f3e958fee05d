"""What this machine can train on, found without torch."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LARGE_GPU_GB = 12.0
KEPT_S = 5.0


@dataclass(frozen=True)
class Gpu:
    """One graphics card; memory in 10**9 bytes."""

    name: str
    memory_gb: float
    free_gb: float


@dataclass(frozen=True)
class Hardware:
    """The machine in figures (memory in 10**9 bytes), and in words for the screen."""

    gpus: list[Gpu] = field(default_factory=list)
    cpu_cores: int = 1
    memory_gb: float = 0.0
    sentence: str = ""
    name: str = ""
    free: str = ""

    @property
    def device(self) -> str:
        """`gpu` or `cpu`: what a run here takes for itself."""
        return "gpu" if self.gpus else "cpu"

    @property
    def largest_gpu_gb(self) -> float:
        """Memory of the largest GPU; 0 where there is none."""
        return max((g.memory_gb for g in self.gpus), default=0.0)


_last: list[tuple[float, Hardware]] = []


def probe_hardware() -> Hardware:
    """The machine as it stands; asked again after a few seconds at the earliest."""
    if _last and time.monotonic() - _last[0][0] < KEPT_S:
        return _last[0][1]
    found = describe_hardware(_probe_gpus(), _count_cores(), _memory_gb())
    _last[:] = [(time.monotonic(), found)]
    return found


def describe_hardware(gpus: list[Gpu], cpu_cores: int, memory_gb: float) -> Hardware:
    """The same figures with the words for them."""
    cores = f"{cpu_cores} CPU core{'s' if cpu_cores != 1 else ''}"
    if not gpus:
        sentence = (
            f"{cores}, {memory_gb:.0f} GB of memory, no GPU. Pocket trains here in a minute or two; "
            f"SDXL needs a GPU with {LARGE_GPU_GB:.0f} GB or more."
        )
        return Hardware([], cpu_cores, memory_gb, sentence, cores, f"{memory_gb:.0f} GB of memory")
    best = max(gpus, key=lambda g: g.memory_gb)
    name = best.name if len(gpus) == 1 else f"{len(gpus)} x {best.name}"
    can = "SDXL and Pocket train here." if best.memory_gb >= LARGE_GPU_GB - 0.5 else "Pocket trains here; SDXL needs 12 GB or more."
    sentence = f"{name} with {best.memory_gb:.0f} GB. {can}"
    return Hardware(gpus, cpu_cores, memory_gb, sentence, name, f"{best.free_gb:.1f} of {best.memory_gb:.0f} GB free")


def _probe_gpus() -> list[Gpu]:
    """NVIDIA's own tool knows the cards without loading CUDA into this process."""
    tool = shutil.which("nvidia-smi")
    if not tool or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    query = [tool, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(answer)


def parse_gpus(answer: str) -> list[Gpu]:
    """The cards in the tool's answer: name, MiB in all, MiB free, one card a line."""
    gpus = []
    for line in answer.splitlines():
        parts = [p.strip() for p in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            gpus.append(Gpu(parts[0].removeprefix("NVIDIA "), int(parts[1]) * 2**20 / 1e9, int(parts[2]) * 2**20 / 1e9))
    return gpus


def _count_cores() -> int:
    """Cores that this process may use; a container may grant fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def _memory_gb() -> float:
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or no limit in it
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return total / 1e9


def machine_name() -> str:
    """What measured speeds are filed under: the GPU, or the kind of processor with the number of cores."""
    hardware = probe_hardware()
    return hardware.name if hardware.gpus else f"{platform.machine()} {hardware.name}"
