"""What Slurm is asked and told: sbatch, squeue, scontrol, scancel. Without a database sacct knows nothing, so it is not asked."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backends.contract.errors import DarkroomError

ANSWER_S = 30.0
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
GOING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")
_FORMAT = "%i|%T|%r|%N|%P"

# The reasons that a person meets, in plain words; Slurm has some 80 more, which are shown as it writes them.
REASONS = {
    "None": "Slurm has not looked at it yet.",
    "Resources": "It waits for machines to become free.",
    "Priority": "Other jobs are before it in the queue.",
    "Dependency": "It waits for another job to end.",
    "BeginTime": "Its time to begin has not come yet.",
    "JobHeldUser": "It is held back by its owner; “scontrol release” lets it go.",
    "JobHeldAdmin": "It is held back by the cluster’s administrator; only they can let it go.",
    "PartitionDown": "Its partition is switched off at the moment.",
    "PartitionInactive": "Its partition takes no jobs at the moment.",
    "ReqNodeNotAvail": "The machines it asks for are not available now: down, or kept for other work.",
    "NodeDown": "A machine it needs is down.",
    "Licenses": "It waits for a licence.",
    "Reservation": "It waits for its reservation.",
    "Cleaning": "Slurm clears up after an earlier try.",
    "Prolog": "Its machine is being prepared.",
}
# Those for which a job never begins as it was handed in.
NEVER = {
    "PartitionNodeLimit": "It asks for more machines than its partition gives. Take it out; a new run may ask for fewer.",
    "PartitionTimeLimit": "Its time limit is longer than its partition allows. Take it out; a new run may have a shorter one.",
    "BadConstraints": "No machine of the cluster can meet what it asks for. Take it out; a new run may ask for less.",
    "InvalidAccount": "Its account is not valid on this cluster. Take it out; a new run may name another.",
    "InvalidQOS": "Its quality of service is not valid. Take it out; a new run may name another.",
}


@dataclass(frozen=True)
class Job:
    """A job as Slurm tells it. `state` is Slurm's own word in capitals, or GONE where Slurm knows it no more."""

    id: str
    state: str
    reason: str = ""
    nodes: str = ""
    partition: str = ""
    exit_code: int | None = None

    @property
    def waits(self) -> bool:
        """Whether it stands in the queue."""
        return self.state in WAITING

    @property
    def goes(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in GOING


class SlurmSilentError(DarkroomError):
    """Slurm cannot be reached at the moment; what it said last still holds."""


def submit(script: Path) -> str:
    """Hands a batch script in; gives the job's id.

    Raises:
        DarkroomError: With Slurm's own words, when it does not take it.
    """
    done = _call("sbatch", "--parsable", str(script))
    found = re.match(r"(\d+)", done.stdout.strip())
    if done.returncode or not found:
        raise DarkroomError(f"Slurm did not take the job. {_explain_refusal(done.stderr)}", field="launcher")
    return found[1]


def find_job(job_id: str) -> Job:
    """The job as it stands: from the queue, else from what Slurm still remembers of those that ended.

    Raises:
        SlurmSilentError: When Slurm does not answer.
    """
    done = _call("squeue", "-h", "-j", job_id, "-o", _FORMAT)
    if done.returncode and "Invalid job id" not in done.stderr:
        raise SlurmSilentError(_last_words(done.stderr))
    line = done.stdout.strip().splitlines()
    if line:
        number, state, reason, nodes, partition = [*line[0].split("|"), "", "", "", ""][:5]
        return Job(number, state, reason, nodes, partition)
    return _remembered(job_id)


def find_by_name(name: str) -> str:
    """Id of the newest job of this name, or an empty text.

    Raises:
        SlurmSilentError: When Slurm does not answer.
    """
    done = _call("squeue", "-h", "-n", name, "-o", "%i")
    if done.returncode:
        raise SlurmSilentError(_last_words(done.stderr))
    return max(done.stdout.split(), key=lambda i: int(re.sub(r"\D.*", "", i) or 0), default="")


def cancel(job_id: str, *, only_waiting: bool = False) -> None:
    """Ends a job; SIGTERM first, and by force when that did not help. `only_waiting` leaves one alone that has just begun."""
    _call("scancel", *(["--state=PENDING"] if only_waiting else []), job_id)


def explain_reason(code: str) -> str:
    """Why a job waits, in plain words."""
    key = _name_reason(code)
    if key in REASONS or key in NEVER:
        return REASONS.get(key) or NEVER[key]
    if re.match(r"(QOS|Assoc|MaxMem|MaxCpu|Max)", key):
        return f"A limit of your account or queue is reached ({key}); it begins when other jobs of yours have ended."
    return f"Slurm says: {key}."


def never_begins(code: str) -> bool:
    """Whether a job that waits for this reason cannot begin as it was handed in."""
    return _name_reason(code) in NEVER


def _name_reason(code: str) -> str:
    return code.split(",")[0].strip("() ")


def _remembered(job_id: str) -> Job:
    done = _call("scontrol", "show", "job", "-o", job_id)
    if done.returncode:
        if "Invalid job id" in done.stderr:
            return Job(job_id, "GONE")
        raise SlurmSilentError(_last_words(done.stderr))
    told = dict(part.split("=", 1) for part in done.stdout.split() if "=" in part)
    code, _, number = told.get("ExitCode", "").partition(":")
    ended = -int(number) if number not in ("", "0") else int(code) if code.isdigit() else None
    return Job(job_id, told.get("JobState", "GONE"), told.get("Reason", ""), told.get("NodeList", ""), told.get("Partition", ""), ended)


def _explain_refusal(words: str) -> str:
    """What sbatch complains of in plain words, with the way out where it is known."""
    known = {
        "nvalid partition": "It knows no such partition. Look at the names with sinfo, or leave Partition empty.",
        "nvalid generic resource": "It has no GPUs of that kind or number a machine. Lower GPUs a machine, or change Kind of GPU.",
        "nvalid account": "It knows no such account for you. Leave Account empty, or ask the cluster’s people.",
        "time limit": "The time limit is not allowed there. Set a shorter one.",
        "Memory specification": "No machine has so much memory. Lower Memory a machine.",
        "node configuration is not available": "No machine has so many cores, so much memory or so many GPUs. Ask for less.",
        "More processors requested": "No machine has so many cores. Lower CPU cores a process.",
        "Node count specification": "The partition has fewer machines than that. Lower Machines.",
        "nrecognized option": "It does not know an option under More options. Take it out.",
        "Unable to contact": "Its controller does not answer. Try again later, or ask the cluster’s people.",
    }
    said = _last_words(words)
    return next((f"{plain} It said: {said}" for part, plain in known.items() if part in words), f"It said: {said}")


def _last_words(text: str) -> str:
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in text.strip().splitlines()]
    return (lines[-1] if lines else "nothing")[:300]


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    """One of Slurm's commands, in its own language and without a person's own output format."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SBATCH_", "SCANCEL_"))}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False, env={**environment, "LC_ALL": "C"})
    except subprocess.TimeoutExpired:
        raise SlurmSilentError(f"{command[0]} did not answer within {ANSWER_S:g} s") from None
    except OSError as error:
        raise SlurmSilentError(f"{command[0]} cannot be started here ({error.strerror})") from None
