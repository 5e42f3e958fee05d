"""What a person or the system asks of a running trainer: stop, and make samples now."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import torch.distributed

from backends.contract.rundir import RunDir


class Requests:
    """Requests by file (`control/stop`, `control/sample_now`) and by signal (SIGTERM, SIGINT).

    All ranks must leave the loop at the same step, so they agree once a step over a small gloo group of their own,
    which does not wait for the GPU; `patience` is how long one waits for the others.
    """

    def __init__(self, run: RunDir, *, ranks: int, patience: timedelta | None = None) -> None:
        # looked for at every step, for which building the paths anew takes longer than the look
        self._stop, self._sample = str(run.stop_request), str(run.sample_request)
        self._signalled = False
        self._group = torch.distributed.new_group(backend="gloo", timeout=patience) if ranks > 1 else None

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT as a wish to stop; a second one changes nothing."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def is_stop_wanted(self) -> bool:
        """Whether this rank has been asked to stop."""
        return self._signalled or os.path.exists(self._stop)

    def agree(self) -> tuple[bool, bool]:
        """(stop, samples now) as all ranks see it at this step; removes the request for samples."""
        stop, samples = self._any_rank(self.is_stop_wanted(), os.path.exists(self._sample))
        if samples:
            Path(self._sample).unlink(missing_ok=True)
        return stop, samples

    def agree_on_stop(self) -> bool:
        """Whether any rank has been asked to stop; leaves a request for samples for later."""
        return self._any_rank(self.is_stop_wanted(), False)[0]

    def _any_rank(self, *wishes: bool) -> tuple[bool, ...]:
        if self._group is None:
            return wishes
        flags = torch.tensor(wishes, dtype=torch.int32)
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX, group=self._group)
        return tuple(bool(flag) for flag in flags)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
