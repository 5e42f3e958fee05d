"""A run's state, from disk alone: what its supervisor wrote, who still lives, what its events say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.contract import files
from backends.contract.config import Config, parse_config, read_config_document
from backends.contract.rundir import RunDir
from backends.registry import find_backend
from studio.runs.processes import boot_id, find_members, is_alive, read_identity
from studio.runs.progress import Progress, read_progress

ENDED = ("finished", "stopped", "failed", "crashed", "interrupted")
ACTIVE = ("queued", "starting", "running", "stopping")


@dataclass(frozen=True)
class RunState:
    """How a run stands.

    `state` is one of queued (with a cluster; `reason` says why), starting, running, stopping, finished, stopped, failed,
    crashed, interrupted; `seconds` is how long it has run, over all its attempts.
    """

    state: str
    step: int = 0
    reason: str = ""
    seconds: float = 0.0
    attempts: int = 0


def read_process(run: RunDir) -> dict[str, Any]:
    """What the supervisor wrote, or an empty dict for a run that was never started. A broken file is no sign of that."""
    value = files.read_json(run.process)
    if isinstance(value, dict):
        return value
    return {"attempt": 1} if run.process.exists() else {}


def is_watched(process: dict[str, Any]) -> bool:
    """Whether the supervisor that wrote this still lives."""
    return is_alive(read_identity(process.get("supervisor")))


def is_training(process: dict[str, Any]) -> bool:
    """Whether the launcher, or a trainer that it left behind, still lives."""
    return is_alive(read_identity(process.get("launcher"))) or bool(find_members(0, str(process.get("token") or "-")))


def read_state(run: RunDir) -> RunState:
    """How the run stands now."""
    process, progress = read_process(run), read_progress(run.events)
    if not process:
        return RunState("interrupted", reason="It was never started.")
    step, attempts = progress.step, int(process.get("attempt", 1))
    seconds = float(process.get("seconds_before", 0.0)) + max(0.0, progress.last_time - float(process.get("began", progress.last_time)))
    if process.get("ended"):
        return RunState(str(process.get("state", "crashed")), step, str(process.get("reason", "")), seconds, attempts)
    if process.get("launched_by", "local") != "local":  # it lives with a cluster, whoever follows it from here
        return RunState(*_state_of_job(run, progress, process), seconds, attempts)
    if is_watched(process) or is_training(process):
        return RunState(_living_state(run, progress, process), step, "", seconds, attempts)
    state, reason = explain_gone(process, progress)
    return RunState(state, step, reason, seconds, attempts)


def read_job(run: RunDir) -> dict[str, Any]:
    """How the run's job stands with Slurm or a cloud, as its follower wrote it; an empty dict for a run of this machine."""
    value = files.read_json(run.job)
    return value if isinstance(value, dict) else {}


def _state_of_job(run: RunDir, progress: Progress, process: dict[str, Any]) -> tuple[str, int, str]:
    job = read_job(run)
    begun = progress.offset > int(process.get("events_offset", 0))  # the trainer speaks before the queue is asked again
    if begun or job.get("phase") == "running" or run.stop_request.exists():
        return _living_state(run, progress, process), progress.step, str(job.get("silence", ""))
    return "queued", progress.step, str(job.get("silence") or job.get("words", ""))


def _living_state(run: RunDir, progress: Progress, process: dict[str, Any]) -> str:
    if run.stop_request.exists():
        return "stopping"
    begun = progress.offset > int(process.get("events_offset", 0)) and progress.phase not in ("", "starting")
    return "running" if begun else "starting"


def read_run_config(run: RunDir) -> Config:
    """The frozen settings of a run."""
    document = read_config_document(run.config)
    return parse_config(find_backend(str(document["backend"])).config, document["config"])


def explain_gone(process: dict[str, Any], progress: Progress) -> tuple[str, str]:
    """State and reason of a run whose processes are all gone and whose end nobody wrote down."""
    said = progress.state.get("state")
    if progress.state_offset >= int(process.get("events_offset", 0)) and said in ("finished", "stopped", "failed"):
        return str(said), str(progress.state.get("reason") or "")
    supervisor = read_identity(process.get("supervisor"))
    why = "The machine was restarted" if supervisor and supervisor.boot_id != boot_id() else "Its processes were ended from outside"
    return "interrupted", f"{why} at step {progress.step}. Resume goes on from the last checkpoint."
