"""Captioning a whole data set, drafting its instructions, or scoring its captions: a thread of the app fed by the captioning worker.

What is written stays, whatever happens.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from backends.contract import files
from backends.contract.captioning import Wording, read_wording
from backends.contract.errors import DarkroomError
from studio.datasets.caption_notes import Score, note_choices, note_guess, note_score, read_scores
from studio.datasets.captions import CaptionConflict, set_caption
from studio.datasets.draft_job import NO_CAPTIONER, draft_pairs
from studio.datasets.rows import Picture
from studio.datasets.store import DatasetStore
from studio.datasets.trigger import Place, with_trigger_word
from studio.workers.captioner import CaptionReply, caption_replies
from studio.workers.client import Call, Cancelled
from studio.workspace import Workspace

ACTIVE = ("starting", "running")
Task = Literal["caption", "score"]
LARGE = 500  # pictures from which on the state is written once a second and not with every picture
_COMPARED = 8  # pictures that a scorer looks at beside each one
State = Literal["idle", "starting", "running", "finished", "cancelled", "failed", "interrupted"]
_log = logging.getLogger(__name__)


class WritesCaptions(Protocol):
    """What a captioner must be able to do (see `studio.workers.captioner.Captioner`)."""

    def request(self, captioner: str, files: Sequence[Path], wording: Wording) -> Call:
        """Begins to caption these files, in this order."""

    def request_scores(self, scorer: str, files: Sequence[Path], texts: Sequence[str], others: Sequence[Path]) -> Call:
        """Begins to score how well these texts fit these files, in this order."""


@dataclass
class Job:
    """One job as it stands in caption_job.json.

    `done` counts failed and kept ones too; `silent` those that got no words; `guessed` those of which the
    captioner knows nothing like it; `phase` is what is loaded or downloaded before the first.
    """

    state: State
    captioner: str
    trigger_word: str
    place: Place
    total: int
    waiting: list[str]
    done: int = 0
    kept: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    reason: str = ""
    started: float = 0.0
    seconds_left: float | None = None
    silent: int = 0
    guessed: int = 0
    task: Task = "caption"
    wording: dict[str, Any] = field(default_factory=dict)
    phase: str = ""


class CaptionJobs:
    """At most one job a data set, also when two studios have the same workspace open.

    Args:
        workspace: Where the data sets lie.
        captioner: The captioning worker; it starts its process when the first job does.
    """

    def __init__(self, workspace: Workspace, captioner: WritesCaptions) -> None:
        self._store = DatasetStore(workspace)
        self._captioner = captioner
        self._running: dict[str, _Running] = {}
        self._guard = threading.Lock()

    def start(
        self,
        dataset_id: str,
        *,
        captioner: str,
        trigger_word: str = "",
        place: Place = "subject",
        overwrite_own: bool = False,
        wording: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Begins to caption the pictures that have no caption and are not excluded from training, and returns the status.

        Of edit pairs it drafts the instructions of complete pairs that have none, for a person to read; there is no trigger
        word then, and `captioner` may be `none`.

        Args:
            dataset_id: Whose pictures.
            captioner: Model key, folder or hub name.
            trigger_word: Put into every caption that is written, at `place`.
            place: start, subject (in place of what the captioner calls it), end, or remove (leave it out).
            overwrite_own: Also write anew what a captioner wrote before. What a person wrote or brought as a file always stays.
            wording: Fields of `Wording`; what is not named stays as it is there.

        Raises:
            DarkroomError: When a job is under way already, nothing is left to do, or the wording is out of its ranges.
        """
        worded = asdict(read_wording(wording or {}))
        if self._store.info(dataset_id).kind == "pairs":
            trigger_word = ""
        rows = (p for p in self._store.index(dataset_id).rows() if not p.missing and not p.excluded)
        wanted = [p for p in rows if not p.text or (overwrite_own and p.text_by in ("captioner", "draft"))]
        if trigger_word:
            self._store.update(dataset_id, trigger_word=trigger_word, trigger_place=place)
        ids = [p.id for p in wanted]
        return self._begin(dataset_id, Job("starting", captioner, trigger_word, place, len(ids), ids, started=time.time(), wording=worded))

    def score(self, dataset_id: str, *, scorer: str, again: bool = False) -> dict[str, Any]:
        """Begins to score how well captions fit their pictures: those without a score that counts, or all; returns the status.

        Raises:
            DarkroomError: For edit pairs; when a job is under way already, or nothing is left to do.
        """
        if self._store.info(dataset_id).kind == "pairs":
            raise DarkroomError("An instruction says what changes, not what a picture shows: only captions of pictures can be scored.")
        scored = {} if again else read_scores(self._store.index(dataset_id))
        ids = [p.id for p in self._store.index(dataset_id).rows() if p.text and p.id not in scored]
        return self._begin(dataset_id, Job("starting", scorer, "", "subject", len(ids), ids, started=time.time(), task="score"))

    def resume(self, dataset_id: str) -> dict[str, Any]:
        """Goes on with a job that was cancelled, failed or interrupted: only the pictures that are left."""
        saved = _read(self._path(dataset_id))
        if saved is None or not saved.waiting:
            raise DarkroomError("There is no captioning to go on with. Start a new one.")
        there = {p.id for p in self._store.index(dataset_id).rows() if not p.excluded}
        left = [i for i in saved.waiting if i in there]
        job = Job("starting", saved.captioner, saved.trigger_word, saved.place, len(left), left, started=time.time())
        job.task, job.wording = saved.task, saved.wording
        return self._begin(dataset_id, job)

    def status(self, dataset_id: str) -> dict[str, Any]:
        """`state`, `done`, `total`, `seconds_left` (None: not known yet), `failed` ({id, name, reason}), `reason`, `kept`, `waiting`."""
        path = self._path(dataset_id)
        job = _read(path)
        if job is None:
            job = Job("idle", "", "", "start", 0, [])
        elif job.state in ACTIVE and not self._is_alive(path):
            job.state, job.reason = "interrupted", "The studio was closed while it wrote. What was written is there; go on with the rest."
        plain = asdict(job)
        return plain | {"waiting": len(plain["waiting"])}

    def cancel(self, dataset_id: str) -> None:
        """Stops the job after the picture under way. What was written stays."""
        with self._guard:
            running = self._running.get(dataset_id)
        if running:
            running.cancel()

    def wait(self, dataset_id: str, timeout_s: float | None = None) -> dict[str, Any]:
        """The status once the job is over, or after `timeout_s`."""
        with self._guard:
            running = self._running.get(dataset_id)
        if running:
            running.thread.join(timeout_s)
        return self.status(dataset_id)

    def _begin(self, dataset_id: str, job: Job) -> dict[str, Any]:
        if not job.waiting:
            if job.task == "score":
                raise DarkroomError("Every caption that there is has its score. To score anew, ask for all of them.")
            pairs = self._store.info(dataset_id).kind == "pairs"
            what = "Every complete pair has an instruction" if pairs else "Every picture has a caption"
            raise DarkroomError(f"{what}. To write them anew, choose to overwrite what a captioner wrote.")
        path = self._path(dataset_id)
        with self._guard:
            before = self._running.get(dataset_id)
            if before and before.thread.is_alive():
                raise DarkroomError("A captioner is writing already. Wait for it, or stop it first.")
            lock = _try_lock(path)
            if lock is None:
                raise DarkroomError("Another window of Darkroom is captioning these pictures. Wait for it, or stop it there.")
            try:
                _write(path, job)
            except BaseException:
                os.close(lock)
                raise
            running = _Running(self._store, dataset_id, job, self._captioner, path, lock)
            self._running[dataset_id] = running
            running.thread.start()
        return self.status(dataset_id)

    def _is_alive(self, path: Path) -> bool:
        lock = _try_lock(path)
        if lock is None:
            return True
        os.close(lock)
        return False

    def _path(self, dataset_id: str) -> Path:
        return self._store.workspace.dataset(dataset_id) / "caption_job.json"


class _Running:
    """One job and its thread. The lock file is held as long as it lives, so that its death is seen by everybody."""

    def __init__(self, store: DatasetStore, dataset_id: str, job: Job, captioner: WritesCaptions, path: Path, lock: int) -> None:
        self._store, self._dataset_id, self._job = store, dataset_id, job
        self._captioner, self._path, self._lock = captioner, path, lock
        self._wording = read_wording(job.wording)
        self._cancelled = threading.Event()
        self._call: Call | None = None
        self._waiting = dict.fromkeys(job.waiting)
        self._told = 0.0
        self.thread = threading.Thread(target=self._run, name=f"captions-{dataset_id}", daemon=True)

    def cancel(self) -> None:
        self._cancelled.set()
        if self._call is not None:
            self._call.cancel()

    def _run(self) -> None:
        try:
            with self._ending():
                self._work()
        finally:
            os.close(self._lock)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        job = self._job
        try:
            yield
            job.state = "cancelled" if self._cancelled.is_set() and self._waiting else "finished"
        except Cancelled:
            job.state = "cancelled"
        except DarkroomError as error:
            job.state, job.reason = "failed", error.text
        except Exception:  # noqa: BLE001 - the edge of a thread: without this the page would wait for ever
            _log.exception("Captioning %s ended unexpectedly", self._dataset_id)
            job.state, job.reason = "failed", "The captioner ended unexpectedly; the log says where. What was written is there."
        job.seconds_left, job.phase = None, ""
        with suppress(OSError):  # a full disk: the state on disk then reads as interrupted, which is true
            self._tell()

    def _work(self) -> None:
        job = self._job
        pictures = {p.id: p for p in self._store.pictures(self._dataset_id)}
        todo = [pictures[i] for i in job.waiting if i in pictures and not pictures[i].missing]
        first = 0.0
        for picture, reply in self._replies(todo):
            if reply.error:
                job.failed.append({"id": picture.id, "name": picture.name, "reason": reply.error})
            elif job.task == "score":
                self._save_score(picture, reply)
            elif reply.text:
                self._save(picture, reply)
            else:
                job.silent += 1
            del self._waiting[picture.id]
            job.done += 1
            first = first or time.monotonic()
            job.state, job.phase, job.seconds_left = "running", "", _estimate(first, job.done, job.total)
            if job.total < LARGE or time.monotonic() - self._told > 1 or self._cancelled.is_set():
                self._tell()
            if self._cancelled.is_set():
                return

    def _tell(self) -> None:
        self._told, self._job.waiting = time.monotonic(), list(self._waiting)
        _write(self._path, self._job)

    def _replies(self, todo: list[Picture]) -> Iterator[tuple[Picture, CaptionReply]]:
        folder = self._store.workspace.dataset(self._dataset_id)
        if self._job.task == "score":
            step = max(1, len(todo) // _COMPARED)
            others = [folder / p.file for p in todo[::step][:_COMPARED]]
            call = self._captioner.request_scores(self._job.captioner, [folder / p.file for p in todo], [p.text for p in todo], others)
            yield from ((todo[reply.index], reply) for reply in self._listen(call))
        elif todo and todo[0].before is not None:
            for draft in draft_pairs(folder, todo, None if self._job.captioner == NO_CAPTIONER else self._ask):
                yield draft.pair, CaptionReply(0, draft.text, draft.error)
        else:
            yield from ((todo[reply.index], reply) for reply in self._ask([folder / p.file for p in todo]))

    def _ask(self, files: list[Path]) -> Iterator[CaptionReply]:
        yield from self._listen(self._captioner.request(self._job.captioner, files, self._wording))

    def _listen(self, call: Call) -> Iterator[CaptionReply]:
        self._call = call
        if self._cancelled.is_set():
            call.cancel()

        def on_phase(text: str) -> None:
            self._job.phase = text
            self._tell()

        yield from caption_replies(call, on_phase)

    def _save(self, picture: Picture, reply: CaptionReply) -> None:
        texts = list(dict.fromkeys(self._finish(text) for text in reply.candidates or (reply.text,)))  # the word may make two alike
        with self._keeping(picture):
            with self._store.index(self._dataset_id).change() as rows:
                if self._wording.candidates > 1:
                    note_choices(rows, picture.id, texts)
                note_guess(rows, picture.id, self._job.captioner, guess=reply.guess)
            by: Literal["captioner", "draft"] = "captioner" if picture.before is None else "draft"
            set_caption(self._store, self._dataset_id, picture.id, texts[0], None, by=by)
            self._job.guessed += reply.guess

    def _save_score(self, picture: Picture, reply: CaptionReply) -> None:
        with self._keeping(picture), self._store.index(self._dataset_id).change() as rows:
            note_score(rows, picture.id, picture.text, Score(reply.score, self._job.captioner))

    def _finish(self, text: str) -> str:
        """The caption with trigger word, prefix and suffix. The word takes the subject's place, or stands outside of all."""
        job = self._job
        if job.trigger_word and job.place == "subject":
            return self._wording.around(with_trigger_word(text, job.trigger_word, job.place))
        text = self._wording.around(text)
        return with_trigger_word(text, job.trigger_word, job.place) if job.trigger_word else text

    @contextmanager
    def _keeping(self, picture: Picture) -> Iterator[None]:
        job = self._job
        try:
            yield
        except CaptionConflict:
            job.kept += 1  # written by the person while the captioner was at it
        except DarkroomError as error:
            job.failed.append({"id": picture.id, "name": picture.name, "reason": error.text})


def _estimate(first: float, done: int, total: int) -> float | None:
    """Seconds left, from the second picture on: the first one carries the loading of the model."""
    if done < 2:
        return None
    return round((time.monotonic() - first) / (done - 1) * (total - done), 1)


def _try_lock(path: Path) -> int | None:
    """An open handle that holds the job's lock, or None while somebody else does."""
    handle = os.open(path.with_name(".caption_job.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _write(path: Path, job: Job) -> None:
    files.write_json(path, asdict(job))


def _read(path: Path) -> Job | None:
    value = files.read_json(path)
    try:
        return Job(**value)
    except TypeError:
        return None
