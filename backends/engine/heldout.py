"""The held-out loss: pictures never trained on, at fixed noise and fixed timesteps, so that its repeat difference is 0."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backends.contract import files
from backends.engine.order import Pick
from backends.engine.seeds import build_generator
from backends.engine.sources import Source
from backends.families.protocol import NoiseSchedule
from backends.methods.protocol import Batch, Method

LEVELS = 8
MIN_EVALUATIONS, MAX_EVALUATIONS = 8, 96
TIME_SHARE = 0.05
FORWARDS_A_SAMPLE = 3  # a training sample costs about three forward passes, a judged one costs one


@dataclass(frozen=True)
class Judgement:
    """Mean held-out loss, its standard error, and the number of evaluations.

    `change` is how far the mean has moved since before training, and `change_error` the standard error of that. Each evaluation is
    compared with itself, so that it is far more exact than the difference of two means: levels of noise differ more than steps do.
    Both are None at the first judgement, and where that was not kept.
    """

    loss: float
    error: float
    count: int
    change: float | None = None
    change_error: float | None = None


def plan_evaluations(held_out: Sequence[int], *, samples_between: int) -> list[tuple[int, int, int]]:
    """(sample, level, noise) of every evaluation: levels and samples in turn, so that each gets its fair share.

    So many that judging takes about 5 % of the time of the `samples_between` training samples, but one a level at
    least and `MAX_EVALUATIONS` at most.
    """
    if not held_out:
        return []
    wanted = round(TIME_SHARE * FORWARDS_A_SAMPLE * samples_between / LEVELS) * LEVELS
    count = min(MAX_EVALUATIONS, max(MIN_EVALUATIONS, wanted))
    return [(held_out[(k + k // LEVELS) % len(held_out)], k % LEVELS, k) for k in range(count)]


class FixedEvaluations:
    """Losses of chosen samples at fixed timesteps and fixed noise: the same question whenever it is asked.

    Args:
        source: Where the samples come from.
        method: Whose loss it is.
        evaluations: (sample, level, noise) of each; equal numbers for the noise mean equal noise.
        groups: The bucket of each sample.
        schedule: Gives the timesteps of the levels.
        seed: Of the noise.
        batch_size: Evaluations at once.
    """

    def __init__(
        self,
        source: Source,
        method: Method,
        *,
        evaluations: Sequence[tuple[int, int, int]],
        groups: Sequence[Hashable],
        schedule: NoiseSchedule,
        seed: int,
        batch_size: int,
    ) -> None:
        self._source, self._method, self._seed = source, method, seed
        self._evaluations = list(evaluations)
        self._timesteps = schedule.fixed_timesteps(LEVELS)
        by_bucket: dict[Hashable, list[int]] = {}
        for number, (sample, _, _) in enumerate(self._evaluations):
            by_bucket.setdefault(groups[sample], []).append(number)
        self._chunks = [numbers[i : i + batch_size] for numbers in by_bucket.values() for i in range(0, len(numbers), batch_size)]

    def __len__(self) -> int:
        """Evaluations of one asking."""
        return len(self._evaluations)

    @torch.no_grad()
    def measure(
        self, compute_losses: Callable[..., torch.Tensor], *, rank: int = 0, ranks: int = 1, add_up: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """The loss of each evaluation now, float64; ranks share them and `add_up` sums their shares.

        All go forward as often, for a divided model needs every rank at each pass: who has run out of chunks takes one again in vain.
        """
        losses = torch.zeros(len(self), dtype=torch.float64)
        for number in range(rank, -(-len(self._chunks) // ranks) * ranks, ranks):
            chunk = self._chunks[number % len(self._chunks)]
            batch, timesteps, noise = self._prepare(chunk)
            found = compute_losses(batch, self._method.draw_fixed(batch, timesteps, noise), weighted=False)
            if number < len(self._chunks):
                losses[chunk] = found.double().cpu()
        return add_up(losses)

    def _prepare(self, chunk: list[int]) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        rows = [self._evaluations[number] for number in chunk]
        count = len(rows)
        batch = self._source.fetch(Pick(-1, [sample for sample, _, _ in rows], [False] * count, [frozenset()] * count))
        like = next(iter(batch.moments.values()))[0]
        noise = torch.stack(
            [torch.randn(like.shape[1:], generator=build_generator("cpu", self._seed, "held out", number)) for _, _, number in rows]
        )
        timesteps = torch.tensor([self._timesteps[level] for _, level, _ in rows], device=like.device)
        return batch, timesteps, noise.to(like.device)


class HeldOut:
    """Judges the model by pictures that it never trains on; the answers before training are kept in `start_file` for later attempts."""

    def __init__(self, evaluations: FixedEvaluations, start_file: Path, *, active: bool) -> None:
        self._evaluations, self._file, self._active = evaluations, start_file, active
        kept = files.read_json(start_file) or {}
        self._start = torch.tensor(kept.get("losses", []), dtype=torch.float64)

    @property
    def count(self) -> int:
        """Evaluations of one judgement."""
        return len(self._evaluations)

    def judge(self, step: int, compute_losses: Callable[..., torch.Tensor], **ranks: Any) -> Judgement:
        """The held-out loss now."""
        values = self._evaluations.measure(compute_losses, **ranks)
        if step == 0:
            self._start = values
            if self._active:
                files.write_json(self._file, {"losses": values.tolist()})
        mean, error = _mean_and_error(values)
        if step == 0 or len(self._start) != len(values):
            return Judgement(mean, error, len(values))
        return Judgement(mean, error, len(values), *_mean_and_error(values - self._start))


def _mean_and_error(values: torch.Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / len(values) ** 0.5 if len(values) > 1 else 0.0
