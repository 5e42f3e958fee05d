"""One attempt of ai-toolkit at a run: its process from start to end, and what becomes of it for the studio."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backends.contract.aitoolkit import AiToolkit
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.external import job as jobs
from backends.external.curve import Curve
from backends.external.document import list_samples
from backends.external.harvest import Harvest
from backends.external.job import Job, JobState
from backends.external.output import Bar, Output
from backends.external.stopping import Stopping
from backends.external.tell import Teller
from backends.external.work import NAME, Work

POLL_S, POLL_STOPPING_S = 0.5, 0.1
_PR_SET_PDEATHSIG = 1
_DRAWING = re.compile(r"Generating images - (\d+)/(\d+)")
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DARKROOM_CACHE")  # of this process's Python, which is not its
log = logging.getLogger("darkroom.aitoolkit")


def start_process(found: AiToolkit, settings: Path) -> subprocess.Popen[bytes]:
    """Starts `run.py` with its own Python in this process's session; it dies with this process, however that dies.

    Raises:
        OSError: When it cannot be started.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _OURS}
    environment |= {"AITK_JOB_ID": jobs.ID, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        [str(found.python), str(found.folder / "run.py"), str(settings)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=found.folder,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # before any thread of ours is started
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Drive:
    """Looks at everything twice a second until the process has ended."""

    def __init__(
        self,
        work: Work,
        config: FluxAiToolkitConfig,
        found: AiToolkit,
        *,
        teller: Teller,
        curve: Curve,
        harvest: Harvest,
        total: int,
        is_stop_wanted: Callable[[], bool],
    ) -> None:
        self._work, self._found, self._teller, self._total = work, found, teller, total
        self._curve, self._harvest, self._is_stop_wanted = curve, harvest, is_stop_wanted
        self._plan = list_samples(config)
        self._job = Job(work.job)
        self._stopping: Stopping | None = None
        self._saved_before_stop: set[Path] = set()
        self.lines: list[str] = []
        """The last lines that it printed; there when it has ended."""
        self.state = JobState()
        """What it said of itself last."""

    @property
    def was_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping is not None

    def run(self) -> int:
        """Runs it to its end; its exit code, negative for a signal."""
        self._job.create()
        process = start_process(self._found, self._work.settings)
        assert process.stdout is not None
        with process.stdout as stream:
            output = Output(stream)
            while True:
                code = _wait(process, POLL_STOPPING_S if self._stopping else POLL_S)
                if code is not None:
                    break
                self._look(process, output.bar)
            output.finish()
        self.lines = output.lines()
        self._take(output.bar, ended=True)
        log.info("ai-toolkit ended with exit code %d", code)
        return code

    def _look(self, process: subprocess.Popen[bytes], bar: Bar | None) -> None:
        state = self._job.read()
        if state.status:  # a busy database says nothing for once
            self.state = state
        self._tell_phase(bar)
        self._take(bar, ended=False)
        request = self._work.run.sample_request
        if request.exists() and self._curve.begun:
            request.unlink(missing_ok=True)
            self._ask_to_sample()
        if self._is_stop_wanted():
            self._stop(process)

    def _take(self, bar: Bar | None, *, ended: bool) -> None:
        self._curve.look(bar)
        self._harvest.take_samples(self._plan)
        self._harvest.take_weights(self._curve.judged.get, self._curve.best(), ended=ended)

    def _ask_to_sample(self) -> None:
        if self._found.samples_on_request and self._plan:
            self._job.ask_to_sample()
        elif self._plan:
            self._teller.notice("This ai-toolkit cannot draw samples on request; versions from July 2026 on can. Update it with git pull.")
        else:
            self._teller.notice("There are no samples to draw: the run has no sample prompts, or Sample every is 0.")

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if self._stopping is None:
            self._stopping = Stopping(process, self._job)
            self._saved_before_stop = self._list_saved()
        self._stopping.press(
            time.monotonic(),
            listens=self.state.status not in ("", "queued"),
            can_save=self._curve.begun and self._found.saves_on_request,
            saves=self.state.is_saving or bool(self._list_saved() - self._saved_before_stop),
            busy=self.state.is_saving or self.state.status == "stopped",
        )

    def _list_saved(self) -> set[Path]:
        return {path for _, path in self._work.saved()}

    def _tell_phase(self, bar: Bar | None) -> None:
        info = self.state.info
        drawing = _DRAWING.match(info)
        if drawing:
            self._teller.phase("sampling", int(drawing[1]), int(drawing[2]))
        elif self.state.is_saving:
            self._teller.phase("saving")
        elif info == "Training":
            self._teller.phase("training", total=self._total)
        elif info == "Loading dataset":
            encoding = bar if bar and bar.title != NAME else None
            self._teller.phase("caching", encoding.done if encoding else 0, encoding.total if encoding else 0)
        elif self.state.status == "running" and info != "Starting":
            self._teller.phase("loading", note=info)


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
