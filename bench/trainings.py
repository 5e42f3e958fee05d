"""The own trainings as the benchmarks run them: on bundled bases and pictures, with nothing due but steps and their log."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract.config import parse_config
from backends.contract.events import EventWriter
from backends.contract.rundir import RunDir
from backends.contract.settings.lora import LoraSettings
from backends.engine.assembly import assemble
from backends.engine.loop import Progress, Training, train
from backends.engine.optimizers import Updater
from backends.engine.reporter import Reporter
from backends.engine.saving import Saver
from backends.engine.trained import Trained
from backends.registry import BACKENDS, Backend

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "assets" / "samples"
OWN = [name for name, backend in BACKENDS.items() if backend.method_class]
"""Names of the trainings that are ours; ai-toolkit trains with a program of its own."""

PAIRS = 24
DROPPED = 0.05  # of the conditions of InstructPix2Pix
INSTANCE_PROMPT, CLASS_PROMPT = "a picture of zog", "a picture of a cat"
LEARNING_RATES = {"text_to_image": 8e-4, "dreambooth": 8e-4, "text_to_image_full": 1e-4, "instruct_pix2pix": 1e-3}


@dataclass(frozen=True)
class Case:
    """One training to measure.

    `layers` and `rank` are those of a LoRA; `folder` is empty and takes all files; `base` is a base model by name or folder, by default
    the bundled one; `keeps_class` is DreamBooth's prior preservation, by which as many pictures of a class pass the model.
    """

    training: str
    batch_size: int
    layers: str
    folder: Path
    base: str = ""
    resolution: int = 128
    rank: int = 8
    keeps_class: bool = True

    @property
    def backend(self) -> Backend:
        """Family and method."""
        return BACKENDS[self.training]

    @property
    def trains_lora(self) -> bool:
        """Whether it trains a LoRA and not all weights."""
        return issubclass(self.backend.config, LoraSettings)

    @property
    def learning_rate(self) -> float:
        """Small enough that no loop leaves the numbers; it changes no time."""
        return LEARNING_RATES[self.backend.method]

    @property
    def source(self) -> str:
        """The base model: the bundled one of the family where no other is named."""
        return self.base or {"sd15": "pocket-sd15", "sdxl": "pocket-sdxl", "flux": "pocket-flux"}[self.backend.family]

    @property
    def subject(self) -> Path:
        """Pictures of a subject, each with a caption in a text file."""
        return SAMPLES / "zog"

    @property
    def class_pictures(self) -> Path:
        """As many pictures of a class, alone in a folder, as the diffusers scripts want it."""
        return self.folder / "class"

    @property
    def pairs(self) -> Path:
        """Pairs of pictures before and after, with instructions."""
        return SAMPLES / "edits"


def read_settings(case: Case) -> dict[str, Any]:
    """The settings of our run: of the method, and those that leave nothing due but steps."""
    values = {
        "pretrained_model_name_or_path": case.source,
        "resolution": case.resolution,
        "train_batch_size": case.batch_size,
        "learning_rate": case.learning_rate,
        "seed": 0,
        "sample_every": 0,
        "report_to": "none",
        "held_out_share": 0,
        "max_train_steps": 1_000_000,
        "checkpointing_steps": 1_000_000,
        "held_out_every": 100_000,
    }
    if case.trains_lora:
        values |= {"rank": case.rank, "lora_layers": case.layers}
    return values | _name_pictures(case)


def _name_pictures(case: Case) -> dict[str, Any]:
    if case.backend.method == "instruct_pix2pix":
        return {"train_data_dir": str(case.pairs), "max_train_samples": PAIRS, "conditioning_dropout_prob": DROPPED}
    if case.backend.method != "dreambooth":
        return {"train_data_dir": str(case.subject)}
    return {"instance_data_dir": str(case.subject), "instance_prompt": INSTANCE_PROMPT, **name_class(case)}


def name_class(case: Case) -> dict[str, Any]:
    """DreamBooth's settings for pictures of the class, where it is kept; those of the diffusers scripts too."""
    if not case.keeps_class:
        return {}
    folder = lay_class_pictures(case)
    count = len(list(folder.iterdir()))
    return {"with_prior_preservation": True, "class_prompt": CLASS_PROMPT, "class_data_dir": str(folder), "num_class_images": count}


def lay_class_pictures(case: Case) -> Path:
    """Pictures that stand for a class: whatever they show, a step over them costs the same."""
    if not case.class_pictures.is_dir():
        case.class_pictures.mkdir(parents=True)
        for picture in sorted((SAMPLES / "glorp").glob("*.png")):
            shutil.copy(picture, case.class_pictures)
    return case.class_pictures


def build_ours(case: Case, backend: Backend | None = None, **changes: Any) -> Training:
    """Our trainer, ready to step.

    Args:
        case: What is trained on what.
        backend: Another way to the family's model than loading it.
        changes: Settings beside those of the case.
    """
    backend = backend or case.backend
    run = RunDir(case.folder / "ours")
    config = parse_config(backend.config, read_settings(case) | changes)
    with keeping_signals():
        training = assemble(run, backend, config, Reporter(EventWriter(run.events)), resume=None)
    training.saver = NoSaver()
    return training


class NoSaver(Saver):
    """Of a turn's last step no checkpoint is made, and nothing is copied for one: the others make none either."""

    def __init__(self) -> None:
        """Needs nothing."""

    def save(self, progress: Progress, trained: Trained, updater: Updater) -> None:
        """Nothing."""


@contextmanager
def keeping_signals() -> Iterator[None]:
    """A trainer takes these signals as a wish to stop after its step; here they go on ending the program."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def run_ours(training: Training, steps: int) -> None:
    """Steps of the real loop, with its log; the limit is moved on, and nothing is saved."""
    training.cadence.total_steps = training.progress.step + steps
    train(training)
