"""Follows one Slurm job from a process of its own: `python -m studio.runs.launchers.slurm_follow RUN_ROOT`.

It writes down how the job stands (job.json), ends it where a stop is not answered, and says how it ended (process.json).
When it dies nothing is lost: the next app that looks at the run starts another one.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from backends.contract import files
from studio.runs.launchers import slurm_ask
from studio.runs.launchers.slurm_ask import Job, SlurmSilentError
from studio.runs.locks import Busy, take_lock
from studio.runs.progress import read_progress
from studio.runs.supervisor import Supervisor, serve

LOOK_S = 0.5  # at files
ASK_S, ASK_SOON_S = 10.0, 2.0  # at Slurm; soon while something is about to change
SOON_FOR_S = 120.0
SAY_MORE_S = 10.0
END_S = 60.0  # for a job that was cancelled to be gone
ENDINGS = {
    "TIMEOUT": "Slurm ended it at its time limit",
    "NODE_FAIL": "A machine of the cluster failed",
    "BOOT_FAIL": "A machine of the cluster did not start",
    "PREEMPTED": "Slurm gave its machines to a job that goes before it",
    "DEADLINE": "Slurm ended it at its deadline",
    "CANCELLED": "The job was cancelled from outside (scancel)",
    "GONE": "Slurm knows the job no more, and it left no exit code",
}


class SlurmFollower(Supervisor):
    """One Slurm job, from the queue to its end."""

    job = Job("", "PENDING", "None")
    _asked = _changed = 0.0  # on the monotonic clock
    _silent_since: float | None = None
    _left_code_at: float | None = None
    _left_the_queue = False

    def adopt(self) -> None:
        """Takes the job over, wherever it stands."""
        try:
            self._lock = take_lock(self.run.control / "follower.lock", "follower")
        except Busy:
            sys.exit(0)  # another one follows it already
        self._changed = time.monotonic()
        super().adopt()
        self.grace_s = float(self.record.get("grace_s", self.grace_s))

    def _running(self) -> bool:
        if self._exit_code() is not None:
            self._left_code_at = self._left_code_at or time.monotonic()
        elif time.monotonic() - self._asked < (LOOK_S if self.job.waits and self.run.stop_request.exists() else self._pause()):
            return True
        self._asked = time.monotonic()
        if not self._find_id():
            return False
        try:
            found = slurm_ask.find_job(self.record["job_id"])
            if found.waits and self.run.stop_request.exists():  # nothing to save
                slurm_ask.cancel(found.id, only_waiting=True)
                found = slurm_ask.find_job(found.id)
                self.ended_by_us = self._left_the_queue = not (found.waits or found.goes)
        except SlurmSilentError as error:
            return self._stay(error)
        self._silent_since = None
        if found != self.job:
            self._changed = time.monotonic()
        self.job = found
        self._tell()
        return found.waits or (found.goes and not self._has_left())

    def _has_left(self) -> bool:
        """Whether the job's script has ended; of one that failed Slurm may have more to say in a moment."""
        if self._left_code_at is None:
            return False
        return self._exit_code() == 0 or time.monotonic() - self._left_code_at > SAY_MORE_S

    def _find_id(self) -> bool:
        """Whether the job was handed in at all; by its name where the app died before it had written the id down."""
        if "job_id" not in self.record:
            try:
                found = slurm_ask.find_by_name(str(self.record.get("job_name", "-")))
            except SlurmSilentError as error:
                return self._stay(error)
            if not found:
                return False
            self.record["job_id"] = found
            self._write()
        return True

    def _stay(self, error: SlurmSilentError) -> bool:
        """Slurm does not answer: what it said last still holds, and the page says since when; an exit code on disk says more."""
        self._silent_since = self._silent_since or time.time()
        self._tell(f"Slurm has not answered since {time.strftime('%H:%M', time.localtime(self._silent_since))}: {error.text}.")
        return self._exit_code() is None

    def _pause(self) -> float:
        soon = self.run.stop_request.exists() or time.monotonic() - self._changed < SOON_FOR_S
        return ASK_SOON_S if soon else ASK_S

    def _wait(self) -> None:
        time.sleep(LOOK_S)

    def _tell(self, silence: str = "") -> None:
        job = self.job
        words = slurm_ask.explain_reason(job.reason) if job.waits else f"on {job.nodes}" if job.nodes else ""
        value: dict[str, Any] = {"launcher": "slurm", "id": self.record.get("job_id", ""), "state": job.state, "nodes": job.nodes}
        value |= {"phase": "queued" if job.waits else "running", "words": words, "partition": job.partition, "silence": silence}
        value["hopeless"] = job.waits and slurm_ask.never_begins(job.reason)
        if files.read_json(self.run.job) != value:
            files.write_json(self.run.job, value)

    def _clear(self) -> int | None:
        """The job leaves nothing behind. Gives its exit code as it wrote it, else as Slurm remembers it."""
        if self.ended_by_us:
            slurm_ask.cancel(self.record["job_id"])
            deadline = time.monotonic() + END_S
            while time.monotonic() < deadline and self._still_there():
                time.sleep(LOOK_S)
        code = self._exit_code()
        return code if code is not None else self.job.exit_code

    def _still_there(self) -> bool:
        try:
            self.job = slurm_ask.find_job(self.record["job_id"])
        except SlurmSilentError:
            return True
        return self.job.waits or self.job.goes

    def _exit_code(self) -> int | None:
        try:
            return int((self.run.control / f"job-{self.record.get('job_id', '')}.exit").read_text("ascii"))
        except (OSError, ValueError):
            return None

    def _file_speed(self) -> None:
        """Speeds are filed under this machine's name, and it was not this machine."""

    def on_terminate(self) -> None:
        """This machine goes down, the cluster does not: the job goes on, and the next app follows it again."""
        sys.exit(0)

    def _explain(self, code: int | None) -> tuple[str, str]:
        """State and reason, from the trainer's last word, else from Slurm's."""
        progress = read_progress(self.run.events)
        said = progress.state if progress.state_offset >= int(self.record["events_offset"]) else {}
        if "job_id" not in self.record:
            return "interrupted", "The job was not handed in to Slurm: Darkroom ended while it did so. Resume hands it in."
        if said.get("state") == "stopped":
            return "stopped", self._why_stopped() or str(said.get("reason") or "")
        if self._left_the_queue:
            return "stopped", "Taken out of Slurm’s queue before it had begun."
        if said.get("state") in ("finished", "failed") or self.ended_by_us:
            return super()._explain(code)
        return self._explain_end(code, progress.step)

    def _why_stopped(self) -> str:
        """A stop that nobody asked for on the page."""
        if (self.run.control / f"job-{self.record['job_id']}.time").exists():
            return "Its time limit in Slurm was near, so it saved and ended. Resume goes on in a new job."
        if self.job.state == "CANCELLED" and not self.ended_by_us:
            return "The job was cancelled from outside (scancel); it saved first. Resume goes on in a new job."
        return ""

    def _explain_end(self, code: int | None, step: int) -> tuple[str, str]:
        """An end about which the trainer said nothing."""
        saved, state = self._saved(), self.job.state
        if state == "OUT_OF_MEMORY" or (code == 137 and self.job.reason == "OutOfMemory"):
            return "crashed", f"A machine of the cluster ran out of memory at step {step}. {self._advice()} {saved}"
        if state == "GONE" and code is not None:
            return super()._explain(code)
        if state in ENDINGS:
            return "interrupted", f"{ENDINGS[state]} at step {step}. {saved} Resume goes on in a new job."
        if self.run.log.exists() and self.run.log.stat().st_size > int(self.record.get("log_offset", 0)):
            return super()._explain(code)
        return "failed", (
            f"The job ended with exit code {code} before it wrote anything. The cluster’s machines may not see {self.run.root}: "
            "the workspace must lie on a disk that all of them share, at the same place."
        )

    def _starved(self) -> bool:
        return self.job.state == "OUT_OF_MEMORY"


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], SlurmFollower))
