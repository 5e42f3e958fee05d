"""The training loop, once for all families and methods: fetch, forward, backward, step, log, judge, sample, save."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from backends.contract.errors import DarkroomError
from backends.contract.schedule import compute_epoch
from backends.engine.faults import pass_failpoint
from backends.engine.heldout import HeldOut, Judgement
from backends.engine.optimizers import Updater
from backends.engine.order import Order
from backends.engine.picture_losses import PictureLosses
from backends.engine.reporter import Reporter, StepLog
from backends.engine.requests import Requests
from backends.engine.sampling import Job, Sampler
from backends.engine.saving import Saver
from backends.engine.seeds import build_generator, seed_dropout
from backends.engine.sharing import Sharing
from backends.engine.sources import Source
from backends.engine.trackers import Trackers
from backends.engine.trained import Trained
from backends.methods.protocol import Batch, Draws, Method, Share

BAD_STEPS_IN_A_ROW = 5


class LossModule(torch.nn.Module):
    """The method's loss as one module, so that distributed training and autocast wrap whatever a method trains."""

    def __init__(self, method: Method, trained: dict[str, torch.nn.Module]) -> None:
        super().__init__()
        self._method = method
        self.trained = torch.nn.ModuleDict(trained)

    def forward(self, batch: Batch, draws: Draws, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample, (B,)."""
        return self._method.compute_losses(batch, draws, weighted=weighted)


@dataclass
class Progress:
    """Where a run stands; with the checkpoint's tensors it is all that resuming needs."""

    step: int = 0
    judgements: list[tuple[int, float, float]] = field(default_factory=list)
    bad_in_a_row: int = 0

    @property
    def best(self) -> tuple[int, float] | None:
        """(step, loss) of the lowest held-out loss."""
        found = min(self.judgements, key=lambda j: j[1], default=None)
        return (found[0], found[1]) if found else None

    @property
    def judgements_since_best(self) -> int:
        """How many judgements the best one has stood."""
        best = self.best
        return sum(1 for step, _, _ in self.judgements if best and step > best[0])


@dataclass
class Cadence:
    """When what happens, in steps; 0 is never."""

    total_steps: int
    log: int
    judge: int
    sample: int
    save: int
    validate_epochs: int
    patience: int
    samples_a_pass: int
    batch_size: int
    accumulation: int
    ranks: int

    def epoch(self, step: int) -> int:
        """Whole passes done after `step`."""
        return compute_epoch(
            self.samples_a_pass, step=step, batch_size=self.batch_size, accumulation=self.accumulation, processes=self.ranks
        )

    def validates(self, step: int) -> bool:
        """Whether a pass that asks for the validation prompt ended with this step."""
        if not self.validate_epochs:
            return False
        return self.epoch(step) // self.validate_epochs > self.epoch(step - 1) // self.validate_epochs


@dataclass
class Training:
    """Everything that one run needs, put together by `assembly.assemble`."""

    seed: int
    rank: int
    device: torch.device
    progress: Progress
    cadence: Cadence
    method: Method
    model: torch.nn.Module
    bare_model: LossModule
    trained: Trained
    updater: Updater
    order: Order
    source: Source
    held_out: HeldOut | None
    picture_losses: PictureLosses | None
    sampler: Sampler | None
    sample_jobs: list[Job]
    validation_jobs: list[Job]
    saver: Saver
    requests: Requests
    reporter: Reporter
    step_log: StepLog
    sharing: Sharing
    autocast: Callable[[], AbstractContextManager[Any]]
    average: Callable[[torch.Tensor], torch.Tensor]
    add_up: Callable[[torch.Tensor], torch.Tensor]
    trackers: Trackers


@dataclass(frozen=True)
class Due:
    """What is to be done after a step; `last` ends the loop."""

    log: bool
    judge: bool
    save: bool
    last: bool
    jobs: list[Job]


def train(t: Training) -> str:
    """Trains until the last step, an early stop or a wish to stop; gives `finished` or `stopped`."""
    p = t.progress
    t.reporter.phase("training", p.step, t.cadence.total_steps)
    stop, samples_wanted = t.requests.agree()
    if p.step == 0 and not stop:
        judge(t)
        judge_pictures(t)
    if not stop and (samples_wanted or (p.step == 0 and t.cadence.sample)):
        sample(t, t.sample_jobs)
    t.trained.train()
    t.step_log.take()
    last = stop or p.step >= t.cadence.total_steps

    while not last:
        loss = accumulate_gradients(t)
        t.updater.update(p.step)
        t.trained.after_update(p.step)
        t.step_log.add(loss)
        p.step += 1
        pass_failpoint("step.end")

        stop, samples_wanted = t.requests.agree()
        due = find_due(t, stop=stop, samples_wanted=samples_wanted)
        if due.log:
            log(t)
        if due.judge:
            judge(t)
            judge_pictures(t)
            due = end_early(t, due)
        if due.jobs:
            sample(t, due.jobs)
        if due.save:
            t.saver.save(p, t.trained, t.updater)
        if due.judge or due.jobs or due.save:
            t.trained.train()
            t.step_log.restart()
            t.reporter.phase("training", p.step, t.cadence.total_steps)
        last = due.last
    return "stopped" if stop and p.step < t.cadence.total_steps else "finished"


def accumulate_gradients(t: Training) -> torch.Tensor:
    """Fetch, forward, backward for every micro-step of one step; gives the step's mean loss, still on the device."""
    step, count = t.progress.step, t.cadence.accumulation
    total = torch.zeros((), device=t.device)
    for micro in range(count):
        batch = t.source.fetch(t.order.pick(step * count + micro, t.rank))
        share = Share(t.rank, t.cadence.ranks)
        draws = t.method.draw(batch, build_generator(t.device, t.seed, step, micro, 0), share)
        seed_dropout(t.device, t.seed, "dropout", step, micro, t.rank)
        with t.sharing.no_sync(t.model) if micro < count - 1 else nullcontext():
            losses = t.model(batch, draws)
            pass_failpoint("step.after_forward")
            loss = losses.mean() / count
            t.updater.backward(loss)
        pass_failpoint("step.after_backward")
        total += loss.detach()
    return total


def find_due(t: Training, *, stop: bool, samples_wanted: bool) -> Due:
    """What the cadence asks for after this step; a stop saves, but neither judges nor draws out of turn."""
    step, c = t.progress.step, t.cadence
    complete = step == c.total_steps
    judge_now, save_now = step % c.judge == 0 or complete, step % c.save == 0 or complete or stop
    jobs: list[Job] = []
    if samples_wanted or (c.sample and (complete or step % c.sample == 0)):
        jobs += t.sample_jobs
    if t.validation_jobs and (samples_wanted or complete or c.validates(step)):
        jobs += t.validation_jobs
    write = judge_now or save_now or bool(jobs) or step % c.log == 0
    return Due(log=write, judge=judge_now, save=save_now, last=complete or stop, jobs=[] if stop else jobs)


def end_early(t: Training, due: Due) -> Due:
    """The same, or the end of the run where the held-out loss has not fallen for as long as the settings allow."""
    if not 0 < t.cadence.patience <= t.progress.judgements_since_best:
        return due
    return replace(due, save=True, last=True, jobs=due.jobs or (t.sample_jobs if t.cadence.sample else []))


def log(t: Training) -> None:
    """Reads the losses of the last steps back from the device, averages them over the ranks, and writes them at once."""
    losses, rate, memory = t.step_log.take()
    if not losses:
        return
    losses = t.average(torch.tensor(losses, dtype=torch.float64)).tolist()
    first, rates = t.progress.step - len(losses), t.updater.take_rates()[-len(losses) :]
    events: list[dict[str, Any]] = []
    for number, (value, lr) in enumerate(zip(losses, rates, strict=True), first + 1):
        finite = math.isfinite(value)
        t.progress.bad_in_a_row = 0 if finite else t.progress.bad_in_a_row + 1
        event = {"t": "step", "step": number, "loss": value if finite else None, "lr": lr, "steps_per_s": round(rate, 4)}
        events.append({**event, "epoch": t.cadence.epoch(number), "memory_mib": round(memory)})
    t.reporter.write_many(events)
    t.trackers.log({"train_loss": losses[-1], "lr": rates[-1]}, t.progress.step)
    _check_numbers(t)


def judge(t: Training) -> Judgement | None:
    """Measures the held-out loss and writes it down."""
    if t.held_out is None:
        return None
    t.trained.eval()
    with t.autocast():
        found = t.held_out.judge(t.progress.step, t.bare_model, rank=t.rank, ranks=t.cadence.ranks, add_up=t.add_up)
    if not math.isfinite(found.loss):
        t.reporter.notice(f"The held-out loss at step {t.progress.step} is not a number.", "warning")
        return None
    t.progress.judgements.append((t.progress.step, found.loss, found.error))
    t.reporter.write(
        "eval", step=t.progress.step, loss=found.loss, se=found.error, n=found.count, change=found.change, change_se=found.change_error
    )
    t.trackers.log({"heldout_loss": found.loss}, t.progress.step)
    return found


def judge_pictures(t: Training) -> None:
    """Measures how well each training picture is learnt, where the settings ask for it."""
    if t.picture_losses is None:
        return
    t.trained.eval()
    with t.autocast():
        t.picture_losses.measure(t.progress.step, t.bare_model, rank=t.rank, ranks=t.cadence.ranks, add_up=t.add_up)
    t.reporter.write("pictures", step=t.progress.step)


def sample(t: Training, jobs: list[Job]) -> None:
    """Draws pictures with the weights as they are now, on rank 0."""
    if not jobs:
        return
    t.trained.eval()
    with t.sharing.whole():
        if t.sampler is not None:
            t.sampler.draw(jobs, t.progress.step)


def _check_numbers(t: Training) -> None:
    if t.progress.bad_in_a_row == 0:
        return
    t.reporter.notice(f"The loss at step {t.progress.step} is not a number; such steps are left out.", "warning")
    if t.progress.bad_in_a_row >= BAD_STEPS_IN_A_ROW:
        raise DarkroomError(
            f"The loss was not a number {t.progress.bad_in_a_row} times in a row, up to step {t.progress.step}. "
            f"Lower the learning rate (now {t.updater.curve(t.progress.step - 1):g}), or use bf16 or no mixed precision, then resume.",
            field="learning_rate",
        )
