"""Where everything of one run lies. The folder is the same on a laptop, a cluster and in the cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_STEP = re.compile(r"step_(\d{6,})")


@dataclass(frozen=True)
class RunDir:
    """Paths inside one run folder. Nothing is created by asking."""

    root: Path

    @property
    def config(self) -> Path:
        """The frozen settings, complete, as YAML."""
        return self.root / "config.yaml"

    @property
    def launch(self) -> Path:
        """launch.yaml: where and over how many machines it runs (see `launch.py`). Frozen beside the settings."""
        return self.root / "launch.yaml"

    @property
    def job(self) -> Path:
        """job.json: how its job stands with Slurm or a cloud; written by who follows the job, absent for a run of this machine."""
        return self.root / "job.json"

    @property
    def manifest(self) -> Path:
        """The frozen data set, one JSON line a picture: `id` (content hash), `file` (absolute path), `caption`,
        `width`, `height`, `held_out` (bool).
        """
        return self.root / "manifest.jsonl"

    @property
    def report(self) -> Path:
        """dataset_report.json: what the check says of the data that this run trains with. Written once, by the studio."""
        return self.root / "dataset_report.json"

    @property
    def report_page(self) -> Path:
        """dataset_report.html: the same to read and to print, with its pictures inside."""
        return self.root / "dataset_report.html"

    @property
    def info(self) -> Path:
        """run.json: name, data set, preset, when it was made. Written once, by the studio."""
        return self.root / "run.json"

    @property
    def process(self) -> Path:
        """process.json: who runs it (pid, start time, boot id, session) and how it ended. Written by the supervisor."""
        return self.root / "process.json"

    @property
    def events(self) -> Path:
        """Append-only events (see `events.py`). Written by rank 0 of the trainer."""
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        """Everything that the trainer printed."""
        return self.root / "log.txt"

    @property
    def samples(self) -> Path:
        """Pictures made while training: `samples/step_000100/p0_s0.png` (prompt 0, seed index 0)."""
        return self.root / "samples"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint, `checkpoints/step_000100/`, complete when it holds `COMPLETE`."""
        return self.root / "checkpoints"

    @property
    def result(self) -> Path:
        """What was learnt, finished, with its recipe in the metadata: a LoRA in the diffusers layout, or a model's own weights."""
        return _weights_in(self.root)

    @property
    def control(self) -> Path:
        """Requests to the trainer: an empty file `stop` or `sample_now`."""
        return self.root / "control"

    @property
    def stop_request(self) -> Path:
        """While this file exists, the trainer ends at the next step and saves first."""
        return self.control / "stop"

    @property
    def sample_request(self) -> Path:
        """While this file exists, the trainer makes samples after the current step, then removes it."""
        return self.control / "sample_now"

    @property
    def picture_losses(self) -> Path:
        """picture_losses.json: how well each training picture is learnt, where the settings ask for it."""
        return self.root / "picture_losses.json"

    @property
    def heldout_start(self) -> Path:
        """heldout_start.json: the loss of every held-out evaluation before training."""
        return self.root / "heldout_start.json"

    @property
    def kept(self) -> Path:
        """kept.json: the step that the person chose to keep."""
        return self.root / "kept.json"

    def checkpoint(self, step: int) -> Path:
        """Folder of the checkpoint at `step`."""
        return self.checkpoints / f"step_{step:06d}"

    def weights(self, step: int) -> Path:
        """What was learnt by the checkpoint at `step`."""
        return _weights_in(self.checkpoint(step))

    def sample(self, step: int, prompt: int, seed_index: int = 0) -> Path:
        """The picture of prompt number `prompt` at `step`."""
        return self.samples / f"step_{step:06d}" / f"p{prompt}_s{seed_index}.png"

    def pair_side(self, prompt: int, side: str) -> Path:
        """The picture before, or the wanted one, of an edit that is drawn as prompt number `prompt`."""
        return self.samples / "pairs" / f"p{prompt}_{side}.png"


LORA = "lora.safetensors"
WEIGHTS = (LORA, "unet.safetensors", "transformer.safetensors")  # a LoRA, or all weights of what predicts
COMPLETE = "COMPLETE"


def step_of(folder: Path) -> int | None:
    """The step in a folder's name, or None for any other name (temporary folders, strangers)."""
    match = _STEP.fullmatch(folder.name)
    return int(match[1]) if match else None


def complete_checkpoints(run: RunDir) -> list[int]:
    """Steps of the checkpoints that were written to their end, in ascending order."""
    if not run.checkpoints.is_dir():
        return []
    steps = [step_of(p) for p in run.checkpoints.iterdir() if (p / COMPLETE).is_file()]
    return sorted(step for step in steps if step is not None)


def _weights_in(folder: Path) -> Path:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[0])
