"""One honest training on the pocket model, as the learning test and `make calibrate` run it.

The twelve pictures of a sample subject are trained on; twelve others of the same subject are held out and judge. The control
trains on wrong pictures under the same captions and has to fail the same judgement.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backends.contract.config import parse_config, write_config
from backends.contract.events import read_events
from backends.contract.rundir import RunDir
from backends.registry import find_backend
from studio.runs.presets import find_preset

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "assets" / "samples"
PRESET = "text_to_image/pocket_subject"


@dataclass(frozen=True)
class Trial:
    """Which pictures are trained on, who judges, and from which seed."""

    subject: str
    seed: int
    wrong: bool = False

    @property
    def name(self) -> str:
        return f"{self.subject}{'-wrong' if self.wrong else ''}-{self.seed}"


def manifest_lines(trial: Trial) -> list[dict]:
    """Twelve pictures to train on and twelve held out, in the form of `RunDir.manifest`."""
    lines = []
    parts = (("wrong" if trial.wrong else trial.subject, False), (f"{trial.subject}_held_out", True))
    captions = [p.read_text("utf-8").strip() for p in sorted((SAMPLES / trial.subject).glob("*.txt"))]
    for folder, held_out in parts:
        for i, path in enumerate(sorted((SAMPLES / folder).glob("*.png"))):
            own = path.with_suffix(".txt").read_text("utf-8").strip()
            with Image.open(path) as picture:
                width, height = picture.size
            # The control learns wrong pictures under the subject's own captions: only the pictures differ.
            caption = captions[i % len(captions)] if trial.wrong and not held_out else own
            line = {"id": f"{folder}-{path.stem}", "file": str(path), "caption": caption, "width": width, "height": height}
            lines.append({**line, "held_out": held_out})
    return lines


def prepare(trial: Trial, folder: Path, **changes: object) -> RunDir:
    """A run folder, ready for the trainer, with the settings of the preset Subject."""
    preset = find_preset(PRESET)
    backend = find_backend(preset.backend)
    values = {**preset.values_for(trial.subject), "seed": trial.seed, "report_to": "none", **changes}
    run = RunDir(folder)
    run.root.mkdir(parents=True, exist_ok=True)
    write_config(run.config, parse_config(backend.config, values), backend.name, {})
    run.manifest.write_text("".join(json.dumps(line) + "\n" for line in manifest_lines(trial)), "utf-8")
    return run


def train(trial: Trial, folder: Path, **changes: object) -> dict:
    """Trains through `accelerate launch`; the run's `result` event.

    Raises:
        AssertionError: When the trainer ends without a result; shows the end of its log.
    """
    run = prepare(trial, folder, **changes)
    launch = ["-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no"]
    command = [sys.executable, *launch, "--dynamo_backend", "no", "--cpu", "-m", "backends.train", "--config", str(run.config)]
    with run.log.open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
    results = [e for e in read_events(run.events) if e["t"] == "result"]
    assert done.returncode == 0 and results, run.log.read_text("utf-8", "replace")[-3000:]
    return results[-1]
