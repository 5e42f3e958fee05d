"""Where ai-toolkit's own files of a run lie, inside the run's folder: what it reads, and what it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.contract.rundir import RunDir

NAME = "darkroom"
"""The run's name there: the folder that it writes to and the beginning of its files. It takes every file that begins so for a
checkpoint, so nothing else may."""
_STEP = re.compile(rf"{NAME}_(\d{{9}})\.safetensors")


@dataclass(frozen=True)
class Work:
    """Paths of one run. Nothing is created by asking."""

    run: RunDir

    @property
    def root(self) -> Path:
        """Everything of ai-toolkit's."""
        return self.run.root / "aitoolkit"

    @property
    def settings(self) -> Path:
        """Its settings, written from ours at each start."""
        return self.root / "config.yaml"

    @property
    def pictures(self) -> Path:
        """Links to the pictures with their captions beside them; it keeps its encoded pictures here too."""
        return self.root / "pictures"

    @property
    def held_out(self) -> Path:
        """Links to the pictures that only judge."""
        return self.root / "held_out"

    @property
    def job(self) -> Path:
        """The small database in which it tells what it does and reads what is asked of it."""
        return self.root / "job.db"

    @property
    def output(self) -> Path:
        """What it writes."""
        return self.root / NAME

    @property
    def losses(self) -> Path:
        """Its database of losses."""
        return self.output / "loss_log.db"

    @property
    def samples(self) -> Path:
        """Its samples, until they are taken over."""
        return self.output / "samples"

    @property
    def final(self) -> Path:
        """Its LoRA at the end."""
        return self.output / f"{NAME}.safetensors"

    def weights(self, step: int) -> Path:
        """Its LoRA as saved at `step`."""
        return self.output / f"{NAME}_{step:09d}.safetensors"

    def saved(self) -> list[tuple[int, Path]]:
        """(step, file) of what it saved on the way, in the order of the steps."""
        found = [(int(m[1]), p) for p in self.output.glob(f"{NAME}_*.safetensors") if (m := _STEP.fullmatch(p.name))]
        return sorted(found)
