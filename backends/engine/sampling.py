"""Pictures made while training: the same prompts from the same noise at every step, so that only the LoRA differs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backends.contract.buckets import Bucket
from backends.contract.pictures import PictureFile
from backends.contract.rundir import RunDir
from backends.engine.faults import pass_failpoint
from backends.engine.pictures import fit_picture
from backends.engine.reporter import Reporter
from backends.engine.telling import PromptSource
from backends.families.protocol import Family, SampleRequest
from backends.methods.protocol import SamplePlan

log = logging.getLogger("darkroom.train")


@dataclass(frozen=True)
class Job:
    """One picture to make: number and text of its prompt, number of its seed, the seed; for an edit the picture before and after."""

    prompt: int
    text: str
    number: int
    seed: int
    before: PictureFile | None = None
    target: PictureFile | None = None


@dataclass(frozen=True)
class SampleSettings:
    """How samples are drawn: `width` and `height` in px where words alone decide, edits in the bucket of their picture;
    `batch_size` pictures at a time.
    """

    width: int
    height: int
    steps: int
    guidance_scale: float
    batch_size: int
    buckets: list[Bucket]
    image_guidance_scale: float = 1.5


def plan_jobs(plans: Sequence[SamplePlan], first_seed: int, *, first_prompt: int = 0) -> list[Job]:
    """A job a picture, for the plans numbered from `first_prompt`."""
    return [
        Job(prompt, plan.text, number, (first_seed + number) % 2**32, plan.before, plan.target)
        for prompt, plan in enumerate(plans, first_prompt)
        for number in range(plan.seeds)
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
        for batch, inputs, (width, height) in self._batches(jobs):
            if self._is_cancelled():
                return
            pass_failpoint("sample.batch")
            request = SampleRequest(
                conditions=prompts.conditions([job.text for job in batch]),
                negative=prompts.conditions([""] * len(batch)),
                seeds=[job.seed for job in batch],
                width=width,
                height=height,
                steps=s.steps,
                guidance_scale=s.guidance_scale,
                is_cancelled=self._is_cancelled,
                inputs=inputs,
                image_guidance_scale=s.image_guidance_scale,
            )
            pictures = self._family.sample(request)
            if self._is_cancelled():  # the last batch may have been cut short
                return
            yield batch, pictures

    def _batches(self, jobs: list[Job]) -> Iterator[tuple[list[Job], list[Image.Image], tuple[int, int]]]:
        """Jobs of one size at a time, with the pictures that they edit."""
        s = self._settings
        inputs = [fit_picture(job.before, s.buckets) if job.before else None for job in jobs]
        groups: dict[tuple[bool, tuple[int, int]], list[int]] = {}
        for number, picture in enumerate(inputs):
            groups.setdefault((picture is not None, picture.size if picture else (s.width, s.height)), []).append(number)
        for (_, size), numbers in groups.items():
            for first in range(0, len(numbers), s.batch_size):
                chosen = numbers[first : first + s.batch_size]
                yield [jobs[n] for n in chosen], [picture for n in chosen if (picture := inputs[n])], size

    def _keep(self, job: Job, picture: Image.Image, step: int) -> None:
        path = self._run.sample(step, job.prompt, job.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if np.asarray(picture).max(initial=0) == 0:
            self._reporter.notice(
                f"The sample of “{job.text}” at step {step} is all black: the VAE may not work in this precision. "
                "For SDXL in fp16 give the VAE madebyollin/sdxl-vae-fp16-fix.",
                "warning",
            )
        save_whole(picture, path)
        sides = {side: self._show_side(job, side, file) for side, file in (("before", job.before), ("target", job.target)) if file}
        file = path.relative_to(self._run.root).as_posix()
        self._reporter.write("sample", step=step, prompt=job.prompt, text=job.text, seed=job.seed, file=file, **sides)

    def _show_side(self, job: Job, side: str, source: PictureFile) -> str:
        """The picture before, or the wanted one, kept once beside the samples; its place in the run's folder."""
        path = self._run.pair_side(job.prompt, side)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_whole(fit_picture(source, self._settings.buckets), path)
        return path.relative_to(self._run.root).as_posix()


def save_whole(picture: Image.Image, path: Path) -> None:
    """A PNG, by way of a rename: nobody must ever see half a picture."""
    part = path.with_name(f".{path.name}.part")
    picture.save(part, format="PNG", compress_level=4)
    part.replace(path)
