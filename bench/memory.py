"""What a process holds: tensors alive, and the peak of its memory since a moment."""

from __future__ import annotations

import gc
from pathlib import Path

import torch

from backends.engine.reporter import compute_memory_mib

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
CPU = torch.device("cpu")


def count_alive() -> int:
    """Bytes of all tensors that something holds, each storage once."""
    gc.collect()
    found = (item for item in gc.get_objects() if issubclass(type(item), torch.Tensor))
    storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in found if not t.is_meta)}
    return sum(storages.values())


def forget_peak(device: torch.device = CPU) -> None:
    """Gives back what nobody holds and begins the peak anew: of the GPU, or of this process where the system can (Linux)."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif RESET.exists():
        RESET.write_text("5")


def read_peak_mib(device: torch.device = CPU) -> float:
    """The peak since then: reserved on the GPU, or this process's; of its whole life where the system cannot begin anew."""
    if device.type != "cuda" and RESET.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return compute_memory_mib(device)
