"""The card beside the Train page's form: a run in figures, what would need less memory, and the sentence above Start."""

from __future__ import annotations

from typing import Any

from backends.contract.settings.lora import trains_lora
from backends.contract.settings.pictures import wants_pairs
from studio.runs.forecast import Forecast
from studio.runs.hardware import probe_hardware
from studio.runs.levers import Lever, find_division, list_levers
from studio.runs.store import format_duration

MAX_LEVERS = 6
SHOWN_GB = 1.0  # less is nothing to think about


def describe_forecast(forecast: Forecast, config: Any, base: str, task: str) -> dict[str, Any]:
    """Rows of (what, figure, reason why it is red), the memory bar, what would need less, and the dock's sentence."""
    word = getattr(config, "trigger_word", "")
    lacks_gpu = "needs a GPU" in forecast.problem
    time = "not on this machine" if lacks_gpu else f"about {format_duration(forecast.seconds)}"
    disk_full = forecast.disk_gb > forecast.free_disk_gb
    over = forecast.memory_need_gb > forecast.memory_total_gb
    few = "There must be a picture to learn from." if forecast.num_training < 1 else ""
    whole = not trains_lora(config)
    rows = [
        ["Learns from", _count(forecast.num_training, "pair" if wants_pairs(config) else "picture"), few],
        ["Judged by", _say_judges(forecast), ""],
        ["Steps", f"{forecast.steps:,}", ""],
        ["Passes", f"{forecast.passes:,.0f}" if forecast.passes >= 10 else f"{forecast.passes:.1f}", ""],
        ["Time", time, "It needs a GPU." if lacks_gpu else ""],
        [
            "Model file" if whole else "LoRA file",
            f"{forecast.lora_mb:.0f} MB" if forecast.lora_mb >= 10 else f"{forecast.lora_mb:.1f} MB",
            "",
        ],
        [
            "Disk",
            f"{_size(forecast.disk_gb).removesuffix(' GB')} of {forecast.free_disk_gb:.0f} GB",
            "The disk is too small. Save less often, or keep fewer checkpoints." if disk_full else "",
        ],
    ]
    if forecast.encoded_gb >= SHOWN_GB:
        rows.append(["Encoded pictures", f"{forecast.encoded_gb:.0f} GB", ""])
    goal = {"style": "this style", "edit": "this edit"}.get(task) or (f"what {word} is" if word else "your subject")
    memory = f"{forecast.memory_need_gb:.1f} GB of memory" + (" on each GPU" if forecast.pieces > 1 else "")
    return {
        "rows": rows,
        "memory": {
            "need": round(forecast.memory_need_gb, 1),
            "total": round(forecast.memory_total_gb, 1),
            "parts": [[name, round(gb, 2)] for name, gb in forecast.memory_parts],
            "over": over,
        },
        "levers": describe_levers(config, forecast.pieces),
        "problem": forecast.problem,
        "basis": "" if lacks_gpu else forecast.basis,
        "say": [f"Teach {base} {goal}.", f"{forecast.steps:,} steps, {time}, {memory}. Stop at any time; it saves first."],
    }


def _say_judges(forecast: Forecast) -> str:
    """Who judges, and that a person chose them where it is so, with near copies that are known of."""
    if not forecast.chosen:
        return f"{forecast.num_held_out:,} held out"
    along = forecast.num_held_out - forecast.chosen
    copies = f", {along:,} near {'copy' if along == 1 else 'copies'}" if along else " by you"
    return f"{forecast.chosen:,} chosen{copies}"


def explain_judges(chosen: int, noun: str) -> str:
    """What stands at the share in the form where a person chose who judges."""
    judge, them = ("judges", "it") if chosen == 1 else ("judge", "them")
    return f"{_count(chosen, noun)} {judge}, chosen by you on the Dataset page, with near copies of {them}. This share says nothing then."


def _size(gb: float) -> str:
    return f"{gb:.1f} GB" if gb >= 0.95 else f"{max(1, gb * 1000):.0f} MB"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def describe_levers(config: Any, pieces: int = 1) -> list[dict[str, str]]:
    """What each way to need less memory saves and costs; `pieces` is into how many what is trained is divided already."""
    told = []
    hardware = probe_hardware()
    division = find_division(config, hardware, pieces)
    for lever in list_levers(config, hardware, pieces)[: MAX_LEVERS - (division is not None)]:
        longer = lever.times_as_long
        cost = f"a step takes {longer:.1f} × as long" if longer > 1.05 else "a step takes as long" if longer > 0.95 else "a step is faster"
        told.append(_tell_lever(lever, cost))
    if division:
        told.insert(0, _tell_lever(division, "a step takes as long with NVLink, longer without"))
    return told


def _tell_lever(lever: Lever, cost: str) -> dict[str, str]:
    return {"what": f"{lever.text[0].upper()}{lever.text[1:]}", "saves": f"saves {_size(lever.saves_gb)}", "costs": cost}
