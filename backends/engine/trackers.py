"""Scalars for TensorBoard, Weights & Biases, Comet or Trackio, beside the events that the studio reads."""

from __future__ import annotations

import importlib.util
from typing import Any

from accelerate import Accelerator

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine.reporter import Reporter

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "comet_ml": "comet_ml", "trackio": "trackio"}
PROJECT = "darkroom"


class Trackers:
    """What the settings name beside the studio's own events; without an accelerator none."""

    def __init__(self, accelerator: Accelerator | None = None) -> None:
        self._accelerator = accelerator

    def log(self, values: dict[str, float], step: int) -> None:
        """Scalars of a step."""
        if self._accelerator:
            self._accelerator.log(values, step=step)

    def close(self) -> None:
        """Lets each send what it still holds: a process that is ended hard would take it along."""
        for tracker in self._accelerator.trackers if self._accelerator else ():
            tracker.finish()


def open_trackers(accelerator: Accelerator, config: Any, run: RunDir, reporter: Reporter) -> Trackers:
    """Those that the settings name.

    Raises:
        DarkroomError: When the tracker that the settings name is not installed.
    """
    wanted = list(PACKAGES) if config.report_to == "all" else [] if config.report_to == "none" else [config.report_to]
    present = [name for name in wanted if importlib.util.find_spec(PACKAGES[name])]
    missing = [name for name in wanted if name not in present]
    if missing and config.report_to != "all":
        raise DarkroomError(
            f"Tracker is {missing[0]}, which is not installed. Install it with: pip install {PACKAGES[missing[0]]}. Or choose none; the "
            "Monitor page works without one.",
            field="report_to",
        )
    if missing:
        reporter.notice(f"Not installed, so left out: {', '.join(missing)}. Tracking with {', '.join(present) or 'none'}.")
    if not present:
        return Trackers()
    folder = run.root / config.logging_dir
    accelerator.log_with = _known(present)
    accelerator.project_configuration.set_directories(str(run.root))
    accelerator.project_configuration.logging_dir = str(folder)
    settings = {k: v for k, v in config.model_dump(mode="json").items() if isinstance(v, int | float | str | bool)}
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    accelerator.init_trackers(PROJECT, config=settings)
    return Trackers(accelerator)


def _known(names: list[str]) -> list[Any]:
    from accelerate.utils import LoggerType

    return [LoggerType(name) for name in names]
