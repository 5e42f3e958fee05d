"""The one start of a run from the Train page: as work beside the page, which tells how far it is and can be stopped."""

from __future__ import annotations

import threading
from collections import OrderedDict

from backends.contract.config import ConfigFaults, Fault
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings
from studio.datasets.data_jobs import Job
from studio.datasets.watch import Stopped
from studio.runs.control import begin_run
from studio.runs.preflight import Preflight, preflight_launch
from studio.runs.presets import find_preset
from studio.runs.reading import Reading
from studio.web.context import Context
from studio.web.train_view import Asked, name_faults

_KEPT = 256


class NotStarted(ConfigFaults):
    """Faults that stand in the way of a start, with all that was looked at, so that nobody need look again."""

    def __init__(self, faults: list[Fault], checked: Preflight, launch: LaunchSettings) -> None:
        super().__init__(faults)
        self.checked, self.launch = checked, launch


class Starts:
    """Starts each run exactly once, however often its button was pressed."""

    def __init__(self, context: Context) -> None:
        self._context, self._lock = context, threading.Lock()
        self._done: OrderedDict[str, str] = OrderedDict()

    def start(self, ticket: str, asked: Asked) -> str:
        """The id of the run that was started for this ticket.

        Raises:
            NotStarted: With every fault at its field; then nothing was made or started.
            Stopped: When a person stopped it on the way; likewise.
            DarkroomError: When the run cannot be started, for example because another one has the machine.
        """
        with self._lock:
            if ticket and ticket in self._done:
                return self._done[ticket]
            run_id = self._start(asked)
            if ticket:
                self._done[ticket] = run_id
                while len(self._done) > _KEPT:
                    self._done.popitem(last=False)
            return run_id

    def _start(self, asked: Asked) -> str:
        made: list[str] = []
        faults: list[DarkroomError] = []

        def work(job: Job) -> str:
            try:
                made.append(self._begin(asked, Reading(job.watch)))
            except DarkroomError as error:
                faults.append(error)
                raise
            return "It trains."

        jobs = self._context.work
        job = jobs.start("start", f"Start {' '.join(asked.name.split())}", work, dataset=asked.dataset_id)
        job.over.wait()
        jobs.dismiss(job.id)  # how it ended is told here
        if made:
            return made[0]
        if faults:
            raise faults[0]
        raise Stopped if job.state == "stopped" else DarkroomError(job.sentence)

    def _begin(self, asked: Asked, reading: Reading) -> str:
        workspace, preset = self._context.workspace, find_preset(asked.preset_key)
        checked, where = preflight_launch(workspace, asked.dataset_id, preset.backend, asked.values, asked.launch, reading)
        faults = [*checked.faults, *name_faults(asked.name)]
        if faults or checked.config is None:
            raise NotStarted(faults, checked, where)
        info = begin_run(
            workspace,
            dataset_id=asked.dataset_id,
            preset_key=preset.key,
            name=" ".join(asked.name.split()),
            backend=preset.backend,
            config=checked.config,
            launch=where,
            reading=reading,
        )
        return info.id
