"""Pictures made while training: the same prompts from the same noise at every step, so that only the LoRA differs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backends.contract.rundir import RunDir
from backends.engine.faults import pass_failpoint
from backends.engine.reporter import Reporter
from backends.engine.sources import PromptSource
from backends.families.protocol import Family, SampleRequest

log = logging.getLogger("darkroom.train")


@dataclass(frozen=True)
class Job:
    """One picture to make: prompt number and text, number of its seed, the seed."""

    prompt: int
    text: str
    number: int
    seed: int


@dataclass(frozen=True)
class SampleSettings:
    """How samples are drawn; sizes in px, `batch_size` pictures at a time."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    batch_size: int


def plan_jobs(prompts: list[tuple[str, int]], first_seed: int) -> list[Job]:
    """A job a picture for (text, number of seeds) of each prompt."""
    return [
        Job(prompt, text, number, (first_seed + number) % 2**32) for prompt, (text, count) in enumerate(prompts) for number in range(count)
    ]


class Sampler:
    """Draws jobs into the run's samples folder and tells of each picture."""

    def __init__(
        self,
        family: Family,
        prompts: Callable[[], PromptSource],
        *,
        run: RunDir,
        reporter: Reporter,
        settings: SampleSettings,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._family, self._prompts, self._run, self._reporter = family, prompts, run, reporter
        self._settings, self._is_cancelled = settings, is_cancelled

    def draw(self, jobs: list[Job], step: int) -> int:
        """Pictures made. A failure is told and ends the drawing, never the training."""
        done = 0
        self._reporter.phase("sampling", 0, len(jobs))
        try:
            for batch, pictures in self._pictures(jobs):
                for job, picture in zip(batch, pictures, strict=True):
                    self._keep(job, picture, step)
                done += len(batch)
                self._reporter.phase("sampling", done, len(jobs))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in drawing, hours of training must not be lost
            log.exception("Sampling failed at step %d", step)
            reason = "not enough memory" if isinstance(error, torch.OutOfMemoryError | MemoryError) else f"{type(error).__name__}: {error}"
            self._reporter.notice(f"The samples at step {step} could not be drawn ({reason}). The training goes on.", "warning")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return done

    def _pictures(self, jobs: list[Job]) -> Iterator[tuple[list[Job], list[Image.Image]]]:
        s, prompts = self._settings, self._prompts()
        for first in range(0, len(jobs), s.batch_size):
            if self._is_cancelled():
                return
            batch = jobs[first : first + s.batch_size]
            pass_failpoint("sample.batch")
            request = SampleRequest(
                conditions=prompts.conditions([job.text for job in batch]),
                negative=prompts.conditions([""] * len(batch)),
                seeds=[job.seed for job in batch],
                width=s.width,
                height=s.height,
                steps=s.steps,
                guidance_scale=s.guidance_scale,
                is_cancelled=self._is_cancelled,
            )
            pictures = self._family.sample(request)
            if self._is_cancelled():  # the last batch may have been cut short
                return
            yield batch, pictures

    def _keep(self, job: Job, picture: Image.Image, step: int) -> None:
        path = self._run.sample(step, job.prompt, job.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if np.asarray(picture).max(initial=0) == 0:
            self._reporter.notice(
                f"The sample of “{job.text}” at step {step} is all black: the VAE may not work in this precision. "
                "For SDXL in fp16 give the VAE madebyollin/sdxl-vae-fp16-fix.",
                "warning",
            )
        _save_whole(picture, path)
        file = path.relative_to(self._run.root).as_posix()
        self._reporter.write("sample", step=step, prompt=job.prompt, text=job.text, seed=job.seed, file=file)


def _save_whole(picture: Image.Image, path: Path) -> None:
    """By way of a rename: the page must never show half a picture."""
    part = path.with_name(f".{path.name}.part")
    picture.save(part, format="PNG", compress_level=4)
    part.replace(path)
