"""What a person can change so that a run needs less memory, and what each change saves and costs, in figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from backends.contract.base_models import BASE_MODELS
from backends.contract.division import count_pieces
from backends.contract.launch import LaunchSettings
from backends.contract.settings.lora import trains_lora
from studio.runs.cost import compute_memory_parts, estimate_step_seconds
from studio.runs.hardware import Hardware

MIN_SAVED_GB = 0.05
SMALL_RANK = 8


@dataclass(frozen=True)
class Lever:
    """One change of settings: what to say, what it saves in 10**9 bytes, and how many times as long a step takes after it."""

    changes: dict[str, Any]
    text: str
    saves_gb: float
    times_as_long: float


def list_levers(config: Any, hardware: Hardware, pieces: int = 1) -> list[Lever]:
    """The changes that are still there and save something, those that cost least time first.

    Args:
        config: The settings.
        hardware: Where they are to run.
        pieces: Into how many what is trained is divided.
    """
    before, step_s = _sum(config, hardware, pieces), estimate_step_seconds(config, hardware)[0]
    found = []
    for changes, text in _offer(config):
        if not _can_be(config, changes) or (pieces > 1 and "use_8bit_adam" in changes):
            continue
        changed = config.model_copy(update=changes)
        saved = before - _sum(changed, hardware, pieces)
        if saved >= MIN_SAVED_GB:
            longer = estimate_step_seconds(changed, hardware)[0] / step_s if step_s else 1.0
            found.append(Lever(changes, text, round(saved, 2), round(longer, 2)))
    return found


def find_division(config: Any, hardware: Hardware, pieces: int = 1) -> Lever | None:
    """What dividing all weights over the GPUs saves on each, where it can be done and is not; it is a setting of where a run trains.

    About as many bytes travel as without it, in another order, so that a step takes as long where the GPUs are linked well.
    """
    changes = {"use_8bit_adam": False} if config.use_8bit_adam else {}
    divided = config.model_copy(update=changes)
    many = count_pieces(divided, LaunchSettings(distribution="fsdp2"))
    saved = _sum(config, hardware, pieces) - _sum(divided, hardware, many)
    if pieces > 1 or many == 1 or saved < MIN_SAVED_GB:
        return None
    text = "share the work by fsdp2 (under “Where it runs”)" + (" with 8-bit Adam off" if changes else "")
    return Lever(changes, text, round(saved, 2), 1.0)


def suggest_less_memory(config: Any, hardware: Hardware, room_gb: float, pieces: int = 1) -> str:
    """The cheapest changes after which it fits, as one sentence with what it then needs; or what to do where none helps.

    Args:
        config: Settings that need too much.
        hardware: Where they are to run.
        room_gb: What there is, in 10**9 bytes.
        pieces: Into how many what is trained is divided.
    """
    taken = _choose(config, hardware, room_gb, pieces)
    division = find_division(config, hardware, pieces)
    if division:
        divided = [division, *_choose(_apply(config, [division]), hardware, room_gb, config.num_processes)]
        if len(divided) == 1 or _sum(_apply(config, taken), hardware, pieces) > room_gb:
            taken, pieces = divided, config.num_processes
    need = _sum(_apply(config, taken), hardware, pieces)
    if need > room_gb:
        least = f"Even with every saving it needs {need:.1f} GB. " if taken else ""
        return f"{least}Choose {find_pocket(config)}, or a machine with more memory."
    ways = [lever.text for lever in taken]
    text = ", ".join(ways[:-1]) + (" and " if len(ways) > 1 else "") + ways[-1]
    return f"{text[0].upper()}{text[1:]}: then it needs {need:.1f} GB{' on each GPU' if pieces > 1 else ''}."


def _choose(config: Any, hardware: Hardware, room_gb: float, pieces: int) -> list[Lever]:
    """The cheapest changes after which it fits, and none that is not needed; all there are where they are not enough."""
    taken: list[Lever] = []
    while _sum(_apply(config, taken), hardware, pieces) > room_gb:
        found = [x for x in list_levers(_apply(config, taken), hardware, pieces) if x.changes not in [t.changes for t in taken]]
        if not found:
            return taken
        taken = [t for t in taken if not t.changes.keys() <= found[0].changes.keys()] + found[:1]  # nf4 in the place of int8
    for lever in sorted(taken, key=lambda t: t.times_as_long, reverse=True):
        without = [t for t in taken if t is not lever]
        if _sum(_apply(config, without), hardware, pieces) <= room_gb:
            taken = without
    return taken


def _apply(config: Any, levers: list[Lever]) -> Any:
    return config.model_copy(update={name: value for lever in levers for name, value in lever.changes.items()})


def find_pocket(config: Any) -> str:
    """The bundled base model of the family."""
    return next(m.name for m in BASE_MODELS.values() if m.bundled and m.family == config.family)


def _can_be(config: Any, changes: dict[str, Any]) -> bool:
    """Whether this training has those settings with those values; another program may have fewer than ours."""
    try:
        type(config)(**{**config.model_dump(), **changes})
    except ValidationError:
        return False
    return True


def _sum(config: Any, hardware: Hardware, pieces: int) -> float:
    return sum(size for _, size in compute_memory_parts(config, hardware, pieces))


def _offer(config: Any) -> Iterator[tuple[dict[str, Any], str]]:
    batch = config.train_batch_size
    if batch > 1:
        whole = batch * config.gradient_accumulation_steps
        yield {"train_batch_size": 1, "gradient_accumulation_steps": whole}, f"set the batch size to 1 with accumulation {whole}"
    if not config.cache_latents:
        yield {"cache_latents": True}, "switch on “Keep encoded pictures”"
    if not config.gradient_checkpointing:
        yield {"gradient_checkpointing": True}, "switch on “Save memory”"
    if getattr(config, "train_text_encoder", False):
        yield {"train_text_encoder": False}, "switch off “Train the text encoders”"
    if config.optimizer == "AdamW" and not config.use_8bit_adam:
        yield {"use_8bit_adam": True}, "switch on “8-bit Adam”"
    if config.use_ema:
        yield {"use_ema": False}, "switch off “Average of the weights”"
    if config.mixed_precision == "no":
        yield {"mixed_precision": "bf16"}, "set the precision to bf16"
    yield from _offer_smaller(config)


def _offer_smaller(config: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if trains_lora(config):
        if config.quantize_base == "none":
            yield {"quantize_base": "int8"}, "store the base model as int8"
        if config.quantize_base != "nf4":
            yield {"quantize_base": "nf4"}, "store the base model as nf4"
        if config.rank > SMALL_RANK:
            yield {"rank": SMALL_RANK}, f"set the rank to {SMALL_RANK}"
    if config.resolution > 512:
        half = config.resolution // 2 // 64 * 64
        yield {"resolution": half}, f"lower the resolution to {half} px"
