"""One run from its start to its last event."""

from __future__ import annotations

import time
from typing import Any

import diffusers.utils.logging
import torch.distributed
import transformers.utils.logging

from backends.contract.base_models import is_bundled
from backends.contract.rundir import RunDir
from backends.engine.assembly import assemble
from backends.engine.ground import StoppedEarlier
from backends.engine.loop import Progress, Training, train
from backends.engine.publishing import check_publishing, publish
from backends.engine.reporter import Reporter
from backends.registry import Backend


def run_training(run: RunDir, backend: Backend, config: Any, reporter: Reporter, *, resume: str | None, began: float) -> int:
    """Trains a run and tells how it ended; gives the exit code 0.

    Raises:
        DarkroomError: When something is missing or cannot be done as set.
    """
    check_publishing(config)
    diffusers.utils.logging.disable_progress_bar()  # the log is a file
    transformers.utils.logging.disable_progress_bar()
    try:
        training = assemble(run, backend, config, reporter, resume=resume)
    except StoppedEarlier:
        reporter.write("state", state="stopped", step=0, reason="Stopped before the first step.")
        return 0
    ended = train(training)
    training.saver.export(training.progress, training.trained)
    if training.rank == 0:
        limit = backend.learned_ratio if is_bundled(config.pretrained_model_name_or_path) else None
        reporter.write("result", **compute_result(training, run, seconds=time.monotonic() - began, limit=limit))
        if ended == "finished":
            publish(config, run, reporter)
    training.trackers.close()
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # the group itself goes with the process, see backends.train.leave
    step, total = training.progress.step, training.cadence.total_steps
    early = f"Stopped early at step {step}: the held-out loss had not fallen for {training.cadence.patience} judgements."
    reason = early if ended == "finished" and step < total else ""
    reporter.write("state", state=ended, step=step, reason=reason)
    return 0


def compute_result(training: Training, run: RunDir, *, seconds: float, limit: float | None) -> dict[str, Any]:
    """What the run came to; losses are None where nothing judged it, `learned` where no `limit` of the ratio is known for the base."""
    progress: Progress = training.progress
    start, end, ratio, learned = None, None, None, None
    if progress.judgements:
        start, end = progress.judgements[0][1], progress.judgements[-1][1]
        ratio = end / start if start else None
        learned = ratio < limit if ratio is not None and limit is not None else None
    return {
        "lora": run.result.relative_to(run.root).as_posix(),
        "steps": progress.step,
        "seconds": round(seconds, 2),
        "steps_per_s": round(training.step_log.median_rate(), 4),
        "heldout_loss_start": start,
        "heldout_loss_end": end,
        "heldout_loss_ratio": ratio,
        "best_step": progress.best[0] if progress.best else None,
        "learned": learned,
    }
