"""One honest training on a pocket model, as the learning tests and `make calibrate` run it.

Subjects: the twelve pictures of a sample subject are trained on; twelve others of the same subject are held out and judge. The
control trains on wrong pictures under the same captions: of four other things, or for DreamBooth of another subject. Edits: the
sample pairs are trained on, or those of them that ask for a background as the twenty that judge do, of things that are not among them;
the control trains on the same pictures with the wanted ones dealt out to other pairs. Each control has to fail the judgement that the
right run passes.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from backends.contract.base_models import MODELS
from backends.contract.config import parse_config, write_config
from backends.contract.events import read_events
from backends.contract.rundir import RunDir
from backends.registry import find_backend
from studio.runs.presets import find_preset

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "assets" / "samples"
PRESETS = {
    "sdxl/text_to_image": "text_to_image/pocket_subject",
    "sdxl/text_to_image_full": "text_to_image_full/pocket_whole",
    "sdxl/dreambooth": "dreambooth/pocket_subject",
    "sdxl/instruct_pix2pix": "instruct_pix2pix/pocket_edits",
    "sd15/text_to_image": "text_to_image/pocket15_subject",
    "sd15/text_to_image_full": "text_to_image_full/pocket15_whole",
    "sd15/dreambooth": "dreambooth/pocket15_subject",
    "sd15/instruct_pix2pix": "instruct_pix2pix/pocket15_edits",
    "flux/text_to_image": "text_to_image/pocketflux_subject",
    "flux/dreambooth": "dreambooth/pocketflux_subject",
}
# Of a preset's 200 to 500 steps these are enough to tell right from wrong; the suite runs them, and `make calibrate` over all seeds. What
# SD 1.5 learns of edits is looked at too, and of SDXL's pictures which of them stand out: both take more. The average of the weights
# looks back over 50 steps: in so short a run it would mostly show the beginning. Nothing is hidden from a model that is then asked
# without guidance.
SHORT_STEPS = {
    "sd15/instruct_pix2pix": 180,
    "sdxl/instruct_pix2pix": 80,
    "sdxl/text_to_image": 60,
    "flux/text_to_image": 60,
    "flux/dreambooth": 60,
}
_EDITS = {"train_batch_size": 4, "use_ema": False, "conditioning_dropout_prob": None, "lr_warmup_steps": 10}
DEADLINE_S = 900


@dataclass(frozen=True)
class Trial:
    """Which pictures are trained on by which training, who judges, and from which seed. `subject` is zog, glorp, edits or backgrounds."""

    subject: str
    seed: int
    wrong: bool = False
    backend: str = "sdxl/text_to_image"

    @property
    def name(self) -> str:
        return f"{self.backend.replace('/', '-')}-{self.subject}{'-wrong' if self.wrong else ''}-{self.seed}"

    @property
    def edits(self) -> bool:
        """Whether it is pairs that are trained on."""
        return self.subject in ("edits", "backgrounds")

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the training's pocket preset, for a run that draws nothing."""
        values = find_preset(PRESETS[self.backend]).values_for(self.subject)
        return {**values, "seed": self.seed, "report_to": "none"}

    @property
    def short(self) -> dict[str, Any]:
        """What is changed of them for a run that is just long enough to be judged, at its beginning and its end."""
        steps = SHORT_STEPS.get(self.backend, 40)
        length = {"max_train_steps": steps, "checkpointing_steps": steps, "held_out_every": steps, "sample_every": 0}
        return length | (_EDITS if self.edits else {})


def subject_of(backend: str) -> str:
    """What a training is tried with where nothing else is said."""
    return "backgrounds" if backend.endswith("instruct_pix2pix") else "zog"


def manifest_lines(trial: Trial) -> list[dict]:
    """What is trained on and what is held out, in the form of `RunDir.manifest`."""
    return pair_lines(trial) if trial.edits else subject_lines(trial)


def subject_lines(trial: Trial) -> list[dict]:
    """Twelve pictures to train on and twelve held out."""
    lines = []
    parts = ((_control_of(trial) if trial.wrong else trial.subject, False), (f"{trial.subject}_held_out", True))
    captions = [p.read_text("utf-8").strip() for p in sorted((SAMPLES / trial.subject).glob("*.txt"))]
    for folder, held_out in parts:
        for i, path in enumerate(sorted((SAMPLES / folder).glob("*.png"))):
            own = path.with_suffix(".txt").read_text("utf-8").strip()
            # The control learns wrong pictures under the subject's own captions: only the pictures differ.
            caption = captions[i % len(captions)] if trial.wrong and not held_out else own
            lines.append(_line(f"{folder}-{path.stem}", path, caption, held_out=held_out))
    return lines


def _control_of(trial: Trial) -> str:
    """Under DreamBooth's one prompt four things teach hardly more than their plain backgrounds, which the right pictures share."""
    return "glorp" if trial.backend.endswith("/dreambooth") else "wrong"


def pair_lines(trial: Trial) -> list[dict]:
    """The sample pairs to train on and twenty held out."""
    lines = []
    for folder, held_out in (("edits", False), ("edits_held_out", True)):
        pairs = [json.loads(line) for line in (SAMPLES / folder / "metadata.jsonl").read_text("utf-8").splitlines()]
        if trial.subject == "backgrounds":
            pairs = [pair for pair in pairs if pair["instruction"].startswith("make the background")]
        wanted = [pair["output_image"] for pair in pairs]
        if trial.wrong and not held_out:
            random.Random(trial.seed).shuffle(wanted)
        for pair, output in zip(pairs, wanted, strict=True):
            before, after = (SAMPLES / folder / name for name in (pair["input_image"], output))
            identity = hashlib.sha256(f"{folder} {pair['input_image']} {output}".encode()).hexdigest()
            line = _line(identity, after, pair["instruction"], held_out=held_out)
            lines.append({**line, "input_file": str(before), "input_id": f"{folder} {pair['input_image']}"})
    return lines


def _line(identity: str, path: Path, caption: str, *, held_out: bool) -> dict:
    with Image.open(path) as picture:
        width, height = picture.size
    return {"id": identity, "file": str(path), "caption": caption, "width": width, "height": height, "held_out": held_out}


def prepare(trial: Trial, folder: Path, **changes: object) -> RunDir:
    """A run folder, ready for the trainer, with the settings of the training's pocket preset."""
    backend = find_backend(trial.backend)
    run = RunDir(folder)
    run.root.mkdir(parents=True, exist_ok=True)
    write_config(run.config, parse_config(backend.config, {**trial.settings, **changes}), backend.name, {})
    run.manifest.write_text("".join(json.dumps(line) + "\n" for line in manifest_lines(trial)), "utf-8")
    return run


def fingerprint(trial: Trial) -> str:
    """Of all that decides how a short run ends: its settings, its pictures and its base model."""
    told = {name: value for name, value in {**trial.settings, **trial.short}.items() if not name.startswith("sample_")}
    base = MODELS / str(told["pretrained_model_name_or_path"])
    lines = manifest_lines(trial)
    shown = sorted({str(line[side]) for line in lines for side in ("file", "input_file") if side in line})
    hashed = hashlib.sha256(json.dumps([told, [(line["id"], line["caption"]) for line in lines]], sort_keys=True).encode())
    for path in [*map(Path, shown), *sorted(base.rglob("*.safetensors"))]:
        hashed.update(_hash(path))
    return hashed.hexdigest()[:16]


@cache
def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def launch(run: RunDir, *, cache: Path) -> dict:
    """Trains what a folder holds through `accelerate launch`; the `result` event. Runs that share a cache encode and draw only once.

    Raises:
        AssertionError: When the trainer ends without a result; shows the end of its log.
    """
    options = ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--cpu"]
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", "backends.train", "--config", str(run.config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DARKROOM_CACHE": str(cache)}
    with run.log.open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    return read_result(run, done.returncode)


def train_warm(run: RunDir, *, cache: Path) -> dict:
    """As `launch`, bit for bit, by a process that has its libraries loaded: 8 s less a run."""
    from tests.backends.engine import toy  # which loads torch, that other users of this module do without

    return read_result(run, toy.train(run, deadline_s=DEADLINE_S, DARKROOM_CACHE=str(cache)))


def read_result(run: RunDir, code: int) -> dict:
    """What the trainer wrote last.

    Raises:
        AssertionError: When it ended without a result; shows the end of its log.
    """
    results = [e for e in read_events(run.events) if e["t"] == "result"]
    assert code == 0 and results, run.log.read_text("utf-8", "replace")[-3000:]
    return results[-1]
