"""Run folders as a trainer leaves them, for tests of what reads them: events, samples, checkpoints, settings, state."""

from __future__ import annotations

import json
import math
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from backends.contract import files
from backends.contract.config import write_config
from backends.contract.methods.text_to_image import TextToImageConfig
from backends.contract.rundir import COMPLETE, LORA, RunDir
from studio.runs.processes import identify
from studio.workspace import Workspace

PROMPTS = ["zog on a red background", "zog on a blue background", "a cat on a green background"]
BEGAN = 1_760_000_000.0


@dataclass
class RunWriter:
    """Writes one run folder step by step, as far as a test wants it."""

    workspace: Workspace
    run_id: str
    max_steps: int = 200
    every: int = 40
    dataset_id: str = ""
    prompts: list[str] = field(default_factory=lambda: list(PROMPTS))

    def __post_init__(self) -> None:
        self.run = RunDir(self.workspace.runs / self.run_id)
        self.run.root.mkdir(parents=True)
        self.run.control.mkdir()
        config = TextToImageConfig(
            max_train_steps=self.max_steps, sample_every=self.every, sample_prompts=self.prompts, resolution=128,
            trigger_word="zog", log_every=1, checkpointing_steps=2 * self.every, sample_steps=2, output_dir=str(self.run.root))  # fmt: skip
        write_config(self.run.config, config, "sdxl/text_to_image", {})
        info = {"version": 1, "id": self.run_id, "name": self.run_id, "dataset_id": self.dataset_id, "preset_key": "", "created": BEGAN}
        info |= {"backend": "sdxl/text_to_image", "max_steps": self.max_steps, "base_model": "pocket-sdxl", "prompts": self.prompts}
        files.write_json(self.run.info, info | {"trigger_word": "zog", "num_pictures": 12})
        self.run.events.touch()
        self.run.log.write_text("the trainer begins\n")

    def event(self, kind: str, *, at: float = 0.0, **values: Any) -> None:
        """One event, `at` seconds after the beginning."""
        with self.run.events.open("a") as file:
            file.write(json.dumps({"t": kind, "time": BEGAN + at, **values}) + "\n")

    def begin(self) -> None:
        """Everything before the first step, and the samples of the base model."""
        self.event("state", state="running", step=0, reason="")
        for phase in ("loading", "caching", "training"):
            self.event("phase", phase=phase, done=0, total=0, note="")
        self.samples(0)
        self.judge(0)

    def train(self, first: int, last: int) -> None:
        """The steps from `first` to `last` with what falls due on the way."""
        rng = random.Random(7)
        for step in range(first, last + 1):
            loss = max(0.01, self.true_loss(step) + rng.gauss(0, 0.02))
            self.event(
                "step",
                at=step * 0.6,
                step=step,
                loss=round(loss, 4),
                lr=1e-4 * min(1, step / 20),
                steps_per_s=1.62,
                epoch=step // 11,
                memory_mib=1430,
            )
            if step % 20 == 0:
                self.judge(step)
            if step % self.every == 0:
                self.samples(step)
            if step % (2 * self.every) == 0:
                self.checkpoint(step)
        with self.run.log.open("a") as file:
            file.writelines(f"step {step} of {self.max_steps}\n" for step in range(first, last + 1))

    def true_loss(self, step: int) -> float:
        """What the noise of the curve lies around."""
        return 0.108 + 0.122 * math.exp(-step / 105)

    def judge(self, step: int) -> None:
        """One evaluation on the pictures held out."""
        self.event("eval", at=step * 0.6, step=step, loss=round(self.true_loss(step), 4), se=0.008, n=8)

    def samples(self, step: int) -> None:
        """One picture a prompt: a face that grows with the step."""
        for number in range(len(self.prompts)):
            self.sample(step, number)

    def sample(self, step: int, number: int) -> None:
        """The picture of one prompt."""
        path = self.run.sample(step, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_face(128, ("#d84b3a", "#3b6fd6", "#4f9a55")[number % 3], step / self.max_steps).save(path)
        file = str(path.relative_to(self.run.root))
        self.event("sample", at=step * 0.6, step=step, prompt=number, text=self.prompts[number], seed=42, file=file)

    def checkpoint(self, step: int) -> None:
        """A complete checkpoint (its weights are bytes that nobody loads)."""
        self.run.checkpoint(step).mkdir(parents=True)
        self.run.weights(step).write_bytes(b"\0" * 400_000)
        (self.run.checkpoint(step) / COMPLETE).touch()
        folder = str(self.run.checkpoint(step).relative_to(self.run.root))
        self.event("checkpoint", at=step * 0.6, step=step, folder=folder, heldout_loss=round(self.true_loss(step), 4))

    def live(self) -> None:
        """Marks the run as watched over by this very process."""
        me = identify(os.getpid())
        assert me
        files.write_json(self.run.process, {"supervisor": me.as_json(), "began": BEGAN, "attempt": 1, "events_offset": 0})

    def end(self, state: str, *, step: int, reason: str = "") -> None:
        """Marks the run as ended; a finished one gets its result and its LoRA."""
        if state == "finished":
            self.run.result.write_bytes(b"\0" * 1_200_000)
            start, end = self.true_loss(0), self.true_loss(step)
            self.event(
                "result", at=step * 0.6, lora=LORA, steps=step, seconds=step * 0.6, steps_per_s=1.62, heldout_loss_start=start,
                heldout_loss_end=end, heldout_loss_ratio=round(end / start, 4), best_step=step, learned=True)  # fmt: skip
        if state in ("finished", "stopped", "failed"):
            self.event("state", at=step * 0.6, state=state, step=step, reason=reason)
        ended = {"ended": BEGAN + step * 0.6, "state": state, "reason": reason, "exit_code": 0 if state == "finished" else 1}
        files.write_json(self.run.process, {"began": BEGAN, "attempt": 1, "events_offset": 0, **ended})


def draw_face(side: int, ground: str, part: float) -> Image.Image:
    """A green face with one eye, more of it the larger `part`."""
    image = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(image)
    radius = side * (0.15 + 0.2 * part)
    pen.ellipse((side / 2 - radius, side / 2 - radius, side / 2 + radius, side / 2 + radius), fill="#2aa79b")
    eye = radius * 0.45
    pen.ellipse((side / 2 - eye, side / 2 - eye, side / 2 + eye, side / 2 + eye), fill="white")
    return image


def finished_run(workspace: Workspace, run_id: str, **values: Any) -> RunWriter:
    """A run of 200 steps that has finished."""
    writer = RunWriter(workspace, run_id, **values)
    writer.begin()
    writer.train(1, writer.max_steps)
    writer.end("finished", step=writer.max_steps)
    return writer


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The events of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
