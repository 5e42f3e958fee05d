"""Which precision and which switches the machine at hand can do, with a sentence for every one that it cannot."""

from __future__ import annotations

from typing import Any

import torch

from backends.contract.errors import DarkroomError
from backends.engine.reporter import Reporter

DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_precision(wanted: str | None, device: torch.device, reporter: Reporter) -> str:
    """`no`, `fp16` or `bf16`; says what it chose and why where nothing was asked for.

    Raises:
        DarkroomError: When fp16 is asked for without a GPU.
    """
    if device.type == "cuda":
        return _choose_for_gpu(wanted, reporter)
    if wanted == "fp16":
        raise DarkroomError("Precision is fp16, which needs a GPU. Choose no or bf16, or leave it empty.", field="mixed_precision")
    return wanted or "no"


def _choose_for_gpu(wanted: str | None, reporter: Reporter) -> str:
    major, minor = torch.cuda.get_device_capability()
    has_bf16 = major >= 8
    if wanted == "bf16" and not has_bf16:
        reporter.notice(f"bf16 is not available on this GPU (compute capability {major}.{minor}): using fp16.", "warning")
        return "fp16"
    if wanted is None:
        chosen = "bf16" if has_bf16 else "fp16"
        reason = "it has bf16" if has_bf16 else f"it has no bf16 (compute capability {major}.{minor})"
        reporter.notice(f"Precision is {chosen}, because of this GPU: {reason}.")
        return chosen
    return wanted


def apply_switches(config: Any, device: torch.device, reporter: Reporter) -> None:
    """TF32, where the machine has it."""
    if config.allow_tf32:
        if device.type == "cuda" and torch.cuda.get_device_capability() >= (8, 0):
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
        else:
            where = "a CPU" if device.type == "cpu" else "this GPU"
            reporter.notice(f"TF32 is on, but {where} has none: it changes nothing.", "warning")
