"""Saving a run: checkpoints while it trains, the finished LoRA at its end, and waiting out a full disk."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.contract.errors import DarkroomError
from backends.contract.rundir import RunDir
from backends.engine import checkpoint as checkpoints
from backends.engine.checkpoint import Checkpoint
from backends.engine.export import export_adapter
from backends.engine.faults import pass_failpoint
from backends.engine.optimizers import Updater
from backends.engine.recipe import Recipe
from backends.engine.reporter import Reporter
from backends.engine.trained import Trained
from backends.engine.whole import prune

if TYPE_CHECKING:
    from backends.engine.loop import Progress

WAIT_S = 2.0


class Saver:
    """Writes checkpoints of one run, on rank 0; where the weights are divided, `gathers`, the others help to gather them."""

    def __init__(
        self,
        run: RunDir,
        recipe: Recipe,
        *,
        reporter: Reporter,
        settings: dict[str, Any],
        limit: int | None,
        active: bool,
        gathers: bool,
        is_stop_wanted: Callable[[], bool],
    ) -> None:
        self._run, self._recipe, self._reporter = run, recipe, reporter
        self._settings, self._limit, self._is_stop_wanted = settings, limit, is_stop_wanted
        self._active, self._takes_part = active, active or gathers

    def save(self, progress: Progress, trained: Trained, updater: Updater) -> None:
        """A checkpoint of the present step, then the old ones beyond the limit go."""
        if not self._takes_part:
            return
        self._reporter.phase("saving", progress.step, progress.step)
        heldout = progress.judgements[-1][1] if progress.judgements and progress.judgements[-1][0] == progress.step else None
        tensors, plain = updater.state(trained.named_parameters())
        values = {
            "format": 1,
            "step": progress.step,
            "judgements": progress.judgements,
            "bad_in_a_row": progress.bad_in_a_row,
            "optimizer": plain,
            "settings": self._settings,
        }
        header = self._recipe.header(progress.step, heldout)
        whole = Checkpoint(progress.step, trained.file_name, trained.state(), header, {**tensors, **trained.live_state()}, values)
        if not self._active:
            return
        self._write_patiently(whole)
        folder = self._run.checkpoint(progress.step).relative_to(self._run.root).as_posix()
        self._reporter.write("checkpoint", step=progress.step, folder=folder, heldout_loss=heldout)
        best = {progress.best[0]} if progress.best else set()
        prune(self._run, self._limit, keep=best | {progress.step})

    def export(self, progress: Progress, trained: Trained) -> None:
        """What was learnt at the run's end, in the run's folder."""
        if not self._takes_part:
            return
        self._reporter.phase("exporting")
        heldout = progress.judgements[-1][1] if progress.judgements else None
        pass_failpoint("export.begin")
        learnt = trained.state()
        if not self._active:
            return
        path = self._run.root / trained.file_name
        checkpoints.write_weights(path, learnt, self._recipe.header(progress.step, heldout))
        if self._settings.get("output_kohya_format"):
            self._export_kohya(path)
        pass_failpoint("export.end")

    def _export_kohya(self, path: Path) -> None:
        """The same LoRA for other programs; where it has no place in their layout, the run has not failed for that."""
        other = path.with_name(f"{path.stem}_kohya{path.suffix}")
        try:
            export_adapter(path, other, "kohya")
        except DarkroomError as error:
            self._reporter.notice(f"The file for ComfyUI and A1111 was not written: {error.text}", "warning")
            return
        self._reporter.notice(f"For ComfyUI and A1111: {other.name}, in the run’s folder.")

    def _write_patiently(self, whole: Checkpoint) -> None:
        """On a full disk the run waits, because somebody can free space and hours of training cannot be had back."""
        while True:
            try:
                checkpoints.write_checkpoint(self._run, whole)
                return
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or self._is_stop_wanted():
                    raise
            need = checkpoints.compute_size(whole)
            self._reporter.notice(
                f"The disk is full: the checkpoint at step {whole.step} needs {need / 1e6:,.0f} MB. Free some space; the run waits and "
                "goes on by itself. Earlier checkpoints are safe.",
                "warning",
            )
            while shutil.disk_usage(self._run.root).free < need and not self._is_stop_wanted():
                time.sleep(WAIT_S)
