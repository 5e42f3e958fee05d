"""Long work on data sets beside the pages: importing, merging, fetching, exporting. It goes on when a page is reloaded or closed.

Jobs live in the app's memory: what an import has brought in lies in the data set, what an export wrote lies in the job's own folder
until the job is put away, and everything else leaves nothing behind, so that nothing needs mending when the app ends in the middle.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backends.contract.errors import DarkroomError
from studio.datasets.incoming import Outcome
from studio.datasets.watch import Stopped, Watch

State = Literal["running", "asks", "done", "stopped", "failed"]
ACTIVE = ("running", "asks")
_REFUSED_KEPT = 2000
_KEPT = 20  # jobs that are over and that nobody has put away yet
_SOON_S, _LITTLE = 1.0, 0.02  # before, how long it takes cannot be told
_SHOWN = ("id", "kind", "title", "dataset", "state", "sentence", "asks", "accepted", "refused", "token")
_log = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of work as a page shows it.

    `sentence` tells how it ended; `asks` is what must be answered before it goes on; `token` undoes what it did, where that can be.
    `made` is a file in `folder` that can be downloaded when the work is done, until the job is put away. `again` is what would begin it
    anew where it broke off; nothing where that makes no sense.
    """

    id: str
    kind: str
    title: str
    dataset: str = ""
    state: State = "running"
    sentence: str = ""
    asks: dict[str, Any] | None = None
    accepted: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    left_out: int = 0
    token: str = ""
    watch: Watch = field(default_factory=Watch, repr=False)
    folder: Path | None = field(default=None, repr=False)
    made: Path | None = field(default=None, repr=False)
    again: dict[str, Any] | None = field(default=None, repr=False)
    began: float = field(default_factory=time.monotonic, repr=False)
    _answer: dict[str, Any] | None = field(default=None, repr=False)
    _answered: threading.Event = field(default_factory=threading.Event, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    over: threading.Event = field(default_factory=threading.Event, repr=False)

    def took(self, outcomes: Iterable[Outcome]) -> None:
        """Counts what came in, and keeps what was refused with its reason."""
        for one in outcomes:
            if one.accepted:
                self.accepted += 1
            elif len(self.refused) < _REFUSED_KEPT:
                self.refused.append({"name": one.name, "reason": one.reason})
            else:
                self.left_out += 1

    def leave(self, names: Iterable[tuple[str, str]]) -> None:
        """Keeps who was left as it is, by name, with the reason."""
        self.took(Outcome(name, False, None, reason) for name, reason in names)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Waits until a person has answered.

        Raises:
            Stopped: When the job is stopped instead.
        """
        waited = time.monotonic()
        self._answered.clear()
        self.watch.require_going()  # stopped before it asked: nobody would answer
        with self._guard:
            self.asks, self.state = question, "asks"
        self._answered.wait()
        self.watch.require_going()
        with self._guard:
            self.asks, self.state = None, "running"
        self.began += time.monotonic() - waited  # a person's thinking is no measure of how fast it goes
        return self._answer or {}

    def answer(self, value: dict[str, Any]) -> None:
        """What `ask` waits for."""
        with self._guard:
            if self.state != "asks":
                raise DarkroomError("This is not asked any more. Reload the page to see how it stands.")
            self._answer = value
        self._answered.set()

    def stop(self) -> None:
        """Asks it to end."""
        self.watch.stop()
        self._answered.set()

    def describe(self) -> dict[str, Any]:
        """As it stands now; `part` from 0 to 1 and `seconds_left`, None where they are not known."""
        watch = self.watch
        part = watch.part if watch.part is not None else watch.done / watch.total if watch.total else None
        plain = {name: getattr(self, name) for name in _SHOWN}
        counts = {"what": watch.what, "done": watch.done, "total": watch.total, "unit": watch.unit, "part": part}
        more = {"left_out": self.left_out, "seconds_left": self._seconds_left(part), "stopping": watch.stopped, "file": self._file()}
        return {**plain, **counts, **more, "again": None if self.state in ACTIVE else self.again}

    def _file(self) -> dict[str, Any] | None:
        made = self.made
        if made is None or self.state != "done":
            return None
        try:
            return {"name": made.name, "bytes": made.stat().st_size}
        except FileNotFoundError:  # put away in this moment
            return None

    def _seconds_left(self, part: float | None) -> float | None:
        spent = time.monotonic() - max(self.began, self.watch.began)
        if self.state != "running" or part is None or part < _LITTLE or spent < _SOON_S:
            return None
        return spent / part * (1 - part)


Work = Callable[[Job], str]


class DataJobs:
    """The jobs of one app.

    Args:
        temporary: Where a job may have a folder of its own, which is gone when the job is over.
    """

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._jobs: dict[str, Job] = {}
        self._guard = threading.Lock()

    def start(self, kind: str, title: str, work: Work, *, dataset: str = "", folder: Path | None = None) -> Job:
        """Begins; `work` is given the job and answers with a sentence that tells what came of it.

        Args:
            kind: import, sample, merge, copy, split, fetch, push, crop, mask, export, start.
            title: What it is called on a page.
            work: Raises DarkroomError where it fails, Stopped where nothing of it is kept.
            dataset: Id of the data set that it fills; the work may name it later.
            folder: Files of its own, deleted when it is over; where it made a file to download, when it is put away.
        """
        job = Job(secrets.token_hex(8), kind, title, dataset, folder=folder)
        with self._guard:
            over = [j.id for j in self._jobs.values() if j.state not in ACTIVE]
            for old in over[: max(0, len(over) - _KEPT)]:
                _clear(self._jobs.pop(old))
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), name=f"data-{kind}", daemon=True).start()
        return job

    def own_folder(self) -> Path:
        """A fresh folder for the files of a job."""
        folder = self._temporary / f"job-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        return folder

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            DarkroomError: When there is none of this id.
        """
        with self._guard:
            job = self._jobs.get(job_id)
        if job is None:
            raise DarkroomError("There is no such work any more: it is over, or Darkroom was restarted. What came in is in the data set.")
        return job

    def list(self, dataset: str = "") -> list[Job]:
        """All jobs, or those of one data set, the oldest first."""
        with self._guard:
            return [job for job in self._jobs.values() if not dataset or job.dataset == dataset]

    def is_busy(self, dataset: str) -> bool:
        """Whether a job works on this data set."""
        return any(job.state in ACTIVE for job in self.list(dataset))

    def dismiss(self, job_id: str) -> None:
        """Forgets a job that is over."""
        job = self.get(job_id)
        if job.state in ACTIVE:
            raise DarkroomError("This work is not over yet. Stop it first.")
        with self._guard:
            self._jobs.pop(job_id, None)
        _clear(job)

    def made_file(self, job_id: str) -> Path:
        """What a job made to be downloaded.

        Raises:
            DarkroomError: When there is no such job any more, or it made none.
        """
        job = self.get(job_id)
        if job.state != "done" or job.made is None or not job.made.is_file():
            raise DarkroomError("There is no file to download: the export is not done, or it was put away. Export again.")
        return job.made

    def _run(self, job: Job, work: Work) -> None:
        state: State = "done"
        try:
            job.sentence = work(job)
            state = "stopped" if job.watch.stopped else "done"
        except Stopped:
            state, job.sentence = "stopped", "It was stopped. Nothing of it was kept."
        except DarkroomError as error:
            state, job.sentence = "failed", error.text
        except Exception as error:  # noqa: BLE001 - a thread's fault must reach the page as a sentence
            if "interpreter shutdown" not in str(error):  # the studio was closed in the middle: nobody is there to be told
                _log.exception("%s failed", job.title)
            state, job.sentence = "failed", "Something went wrong inside Darkroom; the details are in the log. What came in before stays."
        finally:
            if state != "done" or job.made is None:
                job.made = None
                _clear(job)
            job.state = state
            job.over.set()


def _clear(job: Job) -> None:
    if job.folder is not None:
        shutil.rmtree(job.folder, ignore_errors=True)
