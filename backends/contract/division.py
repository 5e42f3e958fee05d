"""Dividing a model over processes (`distribution: fsdp2`): which runs have something to divide, and into how many pieces. Torch-free."""

from __future__ import annotations

from typing import Any

from backends.contract.config import Fault
from backends.contract.launch import LaunchSettings
from backends.contract.settings.lora import trains_lora


def find_division_faults(config: Any, launch: LaunchSettings) -> list[Fault]:
    """Why the weights of this run cannot be shared as the launch settings ask, each with the way out."""
    if launch.distribution == "ddp":
        return []
    if launch.distribution == "deepspeed":
        text = (
            "the trainer divides a model by torch’s own fsdp2 and knows no DeepSpeed. Choose fsdp2 where all weights are trained, else ddp."
        )
        return [_fault("deepspeed", text)]
    return [_fault("fsdp2", text) for text in _list_reasons(config, launch)]


def count_pieces(config: Any, launch: LaunchSettings) -> int:
    """Into how many pieces what is trained is cut: 1 where every process keeps the whole of it."""
    divided = launch.distribution == "fsdp2" and not find_division_faults(config, launch)
    return int(config.num_processes) if divided else 1


def _list_reasons(config: Any, launch: LaunchSettings) -> list[str]:
    if trains_lora(config):
        return [
            "a LoRA is trained, so there is nothing to divide but its frozen base model. Choose ddp; where memory is short, "
            "store the base model as int8 or nf4, or switch on “Save memory”."
        ]
    reasons = []
    if config.num_processes < 2:
        reasons.append(
            f"GPUs (num_processes) is {config.num_processes}, and one alone shares with nobody. Set it to 2 or more, or choose ddp."
        )
    if config.optimizer == "prodigy":
        reasons.append("the optimizer is prodigy, which must see all weights at once. Choose AdamW or schedule_free, or ddp.")
    if config.use_8bit_adam:
        reasons.append("8-bit Adam is on, whose blocks do not end where weights are cut. Switch it off, or choose ddp.")
    if config.mixed_precision == "fp16":
        reasons.append("Precision is fp16, whose scale each part of a divided model would find for itself. Choose bf16 or no, or ddp.")
    if launch.dynamo_backend != "no":
        reasons.append(f"Compiles by is {launch.dynamo_backend}, and a divided model is not compiled. Choose no, or ddp.")
    return reasons


def _fault(distribution: str, reason: str) -> Fault:
    return Fault(field="distribution", text=f"Shares the work by is {distribution}: {reason}")
