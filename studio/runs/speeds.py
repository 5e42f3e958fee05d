"""What past runs on this machine measured, so that the next forecast need not guess."""

from __future__ import annotations

import statistics
import time
from typing import Any

from backends.contract import files
from backends.contract.config import Config, read_config_document
from backends.contract.rundir import RunDir
from studio.runs.hardware import machine_name
from studio.runs.progress import read_progress
from studio.workspace import Workspace

KEPT = 200
MIN_STEPS = 20
FARTHEST = 8.0  # a run with eight times the work a step says nothing
_SAME = (
    *("pretrained_model_name_or_path", "gradient_checkpointing", "mixed_precision", "num_processes"),
    *("quantize_base", "with_prior_preservation", "lora_variant"),
)
_WORK = (*_SAME, "resolution", "train_batch_size", "gradient_accumulation_steps", "lora_layers", "rank")


def describe_work(config: Config) -> dict[str, Any]:
    """The settings that decide how long a step takes."""
    return {name: getattr(config, name, None) for name in _WORK}


def record_run(workspace: Workspace, run: RunDir) -> None:
    """Files the speed of a run that has ended; once a run, and only when it went on long enough to mean something."""
    path = workspace.root / "speeds.json"
    known = _read(workspace)
    progress = read_progress(run.events)
    result = progress.result
    if not result or any(k.get("run") == run.root.name for k in known):
        return
    steps, speed, seconds = int(result.get("steps") or 0), float(result.get("steps_per_s") or 0), float(result.get("seconds") or 0)
    if steps < MIN_STEPS or speed <= 0:
        return
    document = read_config_document(run.config)
    work = {k: document["config"].get(k) for k in _WORK}
    entry = {"run": run.root.name, "time": round(time.time()), "machine": machine_name(), "backend": document["backend"], "work": work}
    entry |= {"steps_per_s": speed, "steps": steps, "seconds": seconds}
    files.write_json(path, [*known, entry][-KEPT:])


def find_speed(workspace: Workspace, config: Config) -> float | None:
    """Seconds a step as measured on this machine, scaled to these settings; None before any like run.

    Only runs with the same base model and the same memory settings count; of these the one with the nearest amount of
    work a step, and of equals the middle of the newest five: a run beside other work was slow through no fault of its own.
    """
    wanted, machine = describe_work(config), machine_name()
    scaled: list[tuple[float, float, float]] = []
    for entry in _read(workspace):
        work = entry.get("work", {})
        if entry.get("machine") == machine and all(work.get(k) == wanted[k] for k in _SAME) and entry.get("steps_per_s"):
            ratio = compute_work(wanted) / compute_work(work)
            scaled.append((round(max(ratio, 1 / ratio), 3), -float(entry["time"]), ratio / float(entry["steps_per_s"])))
    nearest = [entry for entry in sorted(scaled) if entry[0] == min(scaled)[0] and entry[0] <= FARTHEST]
    return statistics.median(seconds for _, _, seconds in nearest[:5]) if nearest else None


def compute_work(work: dict[str, Any]) -> float:
    """Pixels that one step sees on one device, with a fixed share that a step costs however small it is."""
    pixels = float(work.get("resolution") or 1) ** 2
    return float(work.get("gradient_accumulation_steps") or 1) * (0.25 * pixels + pixels * float(work.get("train_batch_size") or 1))


def _read(workspace: Workspace) -> list[dict[str, Any]]:
    value = files.read_json(workspace.root / "speeds.json", [])
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
