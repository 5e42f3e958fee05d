"""The runs of a workspace: made with everything frozen, looked up, kept, renamed, deleted."""

from __future__ import annotations

import os
import platform
import shutil
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.base_models import find_base_model
from backends.contract.config import Config, write_config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings, write_launch
from backends.contract.rundir import RunDir, complete_checkpoints
from studio.datasets.store import DatasetStore
from studio.runs.forecast import compute_steps
from studio.runs.frozen_report import freeze_report, gather_run_facts
from studio.runs.manifest import read_rows, require_teachers, write_manifest
from studio.runs.progress import Progress, read_progress
from studio.runs.reading import REPORT, Reading
from studio.runs.state import ACTIVE, RunState, read_state
from studio.workspace import Workspace, new_id

SILENT_S = 120.0
VERSIONED = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")


@dataclass(frozen=True)
class RunInfo:
    """One run as it stands. Times in seconds; `created` since 1970; `eta_s` None where nobody can know."""

    id: str
    name: str
    state: str
    step: int
    max_steps: int
    dataset_id: str
    preset_key: str
    backend: str
    created: float
    base_model: str
    sentence: str
    prompts: list[str] = field(default_factory=list)
    learned: bool | None = None
    heldout_ratio: float | None = None
    kept_step: int | None = None
    last_sample: str | None = None
    reason: str = ""
    seconds: float = 0.0
    eta_s: float | None = None


Runs = list[RunInfo]


class RunStore:
    """Runs on disk, one folder each; every answer is read from there."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def create(
        self,
        *,
        dataset_id: str,
        preset_key: str,
        name: str,
        backend: str,
        config: Config,
        launch: LaunchSettings | None = None,
        reading: Reading | None = None,
    ) -> RunInfo:
        """A new run with frozen settings and a frozen data set; not started yet. Without `launch` it is one of this machine.

        Without a data set it learns from the shards that its settings name; the trainer looks through them and freezes who judges.
        With a `reading` its rows are frozen, and its watch is told how far that is.

        Raises:
            Stopped: When the watch is told to end; then nothing of the run is there.
            DarkroomError: When the data set is empty or pictures of it are gone.
        """
        datasets, reading = DatasetStore(self.workspace), reading or Reading()
        rows = read_rows(self.workspace, dataset_id, reading.training(datasets, dataset_id), reading) if dataset_id else []
        if dataset_id and not rows:
            raise DarkroomError("The data set has no pictures to learn from. Add some, or include excluded ones, on the Dataset page.")
        run_id = self._reserve(name or dataset_id)
        run = RunDir(self.workspace.runs / run_id)
        try:
            seed = getattr(config, "seed", None)
            facts = gather_run_facts(datasets, dataset_id, config, reading) if rows else None
            digest = ""
            if facts:
                require_teachers(facts.split, datasets.info(dataset_id).kind)
                share = getattr(config, "held_out_share", 0.0)
                digest = write_manifest(run, rows, share=share, kin=facts.kin, chosen=facts.chosen)
            frozen = config.model_copy(update={"output_dir": str(run.root), "seed": new_seed() if seed is None else seed})
            write_launch(run, launch or LaunchSettings())
            write_config(run.config, frozen, backend, {**read_versions(), "dataset_sha256": digest})
            if facts:
                reading.part("Writing the report on them", (REPORT, 1.0))(0.0)
                freeze_report(datasets, facts, run, config)
            info = {"id": run_id, "name": name or dataset_id, "dataset_id": dataset_id, "preset_key": preset_key, "backend": backend}
            numbers = {"num_pictures": len(rows), "num_judges": facts.split.held_out if facts and facts.chosen else 0}
            write_info(run, frozen, {**info, **numbers, "dataset_sha256": digest})
        except BaseException:
            shutil.rmtree(run.root, ignore_errors=True)
            raise
        return self.get(run_id)

    def list(self) -> Runs:
        """All runs, newest first; a folder without a readable run.json is left out."""
        found = [p.parent.name for p in self.workspace.runs.glob("*/run.json")]
        runs = [self._info(run_id) for run_id in found]
        return sorted((r for r in runs if r), key=lambda r: (-r.created, r.id))

    def get(self, run_id: str) -> RunInfo:
        """One run as it stands.

        Raises:
            DarkroomError: When there is none of this id.
        """
        self.workspace.run(run_id)
        info = self._info(run_id)
        if info is None:
            raise DarkroomError(f"The run “{run_id}” cannot be read: its run.json is missing or broken. Its checkpoints are still there.")
        return info

    def keep(self, run_id: str, step: int | None) -> None:
        """Remembers the step that the person chose; None takes it back.

        Raises:
            DarkroomError: When there is no complete checkpoint at that step.
        """
        run = RunDir(self.workspace.run(run_id))
        if step is None:
            run.kept.unlink(missing_ok=True)
            return
        steps = complete_checkpoints(run)
        if step not in steps:
            known = ", ".join(str(s) for s in steps) or "none yet"
            raise DarkroomError(f"There is no checkpoint at step {step}. There is: {known}.")
        files.write_json(run.kept, {"step": step, "time": round(time.time(), 3)})

    def rename(self, run_id: str, name: str) -> RunInfo:
        """The run under another name; its id, folder and files stay."""
        wanted = " ".join(name.split())
        if not 1 <= len(wanted) <= 80:
            raise DarkroomError(f"The name has {len(wanted)} characters; it must have 1 to 80.")
        path = RunDir(self.workspace.run(run_id)).info
        files.write_json(path, {**(files.read_json(path) or {}), "name": wanted})
        return self.get(run_id)

    def delete(self, run_id: str) -> None:
        """Removes a run with its checkpoints, samples and LoRA.

        Raises:
            DarkroomError: While it runs.
        """
        root = self.workspace.run(run_id)
        state = read_state(RunDir(root)).state
        if state in ACTIVE:
            raise DarkroomError(f"The run “{run_id}” is {state} and cannot be deleted. Stop it first.")
        doomed = self.workspace.temporary / f"deleted-{run_id}-{time.time_ns()}"
        os.replace(root, doomed)  # gone at once for every reader, whatever happens while its files go
        shutil.rmtree(doomed, ignore_errors=True)

    def runs_of(self, dataset_id: str) -> Runs:
        """The runs that learnt from a data set, newest first."""
        return [r for r in self.list() if r.dataset_id == dataset_id]

    def _reserve(self, name: str) -> str:
        while True:
            run_id = new_id(name, self.workspace.runs)
            try:
                (self.workspace.runs / run_id).mkdir()
            except FileExistsError:
                continue  # another call took the same name a moment ago
            return run_id

    def _info(self, run_id: str) -> RunInfo | None:
        run = RunDir(self.workspace.runs / run_id)
        known = files.read_json(run.info)
        if not isinstance(known, dict):
            return None
        state, progress = read_state(run), read_progress(run.events)
        result, kept = progress.result, files.read_json(run.kept) or {}
        max_steps = int(known.get("max_steps") or 0)
        eta = compute_eta(state, progress, max_steps)
        return RunInfo(
            id=run_id,
            name=str(known.get("name") or run_id),
            state=state.state,
            step=state.step,
            max_steps=max_steps,
            dataset_id=str(known.get("dataset_id", "")),
            preset_key=str(known.get("preset_key", "")),
            backend=str(known.get("backend", "")),
            created=float(known.get("created") or 0.0),
            base_model=str(known.get("base_model", "")),
            sentence=describe_state(state, progress, max_steps, eta),
            prompts=[str(p) for p in known.get("prompts", [])],
            learned=result.get("learned"),
            heldout_ratio=result.get("heldout_loss_ratio"),
            kept_step=kept.get("step"),
            last_sample=str(run.root / progress.last_sample) if progress.last_sample else None,
            reason=state.reason,
            seconds=state.seconds,
            eta_s=eta,
        )


def write_info(run: RunDir, config: Config, known: dict[str, Any]) -> None:
    """Writes run.json: what the pages ask for most often, so that they need not read the settings."""
    about = {
        "version": 1,
        "created": round(time.time(), 3),
        "max_steps": compute_steps(config, int(known["num_pictures"]), int(known.get("num_judges", 0))),
        "base_model": str(getattr(config, "pretrained_model_name_or_path", "")),
        "prompts": list(getattr(config, "sample_prompts", [])),
        "trigger_word": str(getattr(config, "trigger_word", "")),
    }
    files.write_json(run.info, {**about, **known})


def compute_eta(state: RunState, progress: Progress, max_steps: int) -> float | None:
    """Seconds left, from the speed so far with its samples and judgements; None before there is one."""
    speed = progress.whole_steps_per_s
    if state.state not in ACTIVE or speed <= 0 or max_steps <= 0:
        return None
    return max(0.0, (max_steps - state.step) / speed)


PHASES = {
    "loading": "Loading the base model",
    "caching": "Encoding pictures and captions",
    "sampling": "Drawing samples",
    "saving": "Saving",
    "exporting": "Writing its file",
}


def describe_state(state: RunState, progress: Progress, max_steps: int, eta_s: float | None) -> str:
    """One sentence on how a run stands."""
    of = f"step {state.step:,} of {max_steps:,}" if max_steps else f"step {state.step:,}"
    if state.state == "queued":
        return f"Waiting in the queue. {state.reason}".strip()
    if state.state == "starting":
        return "Starting the trainer."
    if state.state == "stopping":
        return f"Stopping at {of}; it saves first."
    if state.state == "running":
        if state.step == 0 and progress.phase in PHASES:
            count = f", {progress.phase_done} of {progress.phase_total}" if progress.phase_total else ""
            return f"{PHASES[progress.phase]}{count}."
        silent = time.time() - progress.last_time
        if progress.phase == "training" and progress.steps_per_s > 0 and silent > max(SILENT_S, 10 / progress.steps_per_s):
            return f"No sign of life for {format_duration(silent)} at {of}. If it does not go on, Stop ends it; Resume goes on."
        left = f", about {format_duration(eta_s)} left" if eta_s is not None else ""
        return f"{of.capitalize()}{left}."
    if state.state == "finished":
        return f"Your LoRA is ready: {state.step:,} steps in {format_duration(state.seconds)}."
    if state.state == "stopped":
        return f"Stopped at {of}." + (f" {state.reason}" if state.reason else "")
    reason = state.reason[:1].upper() + state.reason[1:]
    return reason or f"{state.state.capitalize()} at {of}."


def format_duration(seconds: float) -> str:
    """A length of time as a person says it: 40 s, 6 min, 2 h 5 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes >= 600:
        return f"{round(minutes / 60)} h"  # half an hour more or less is no news there
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def new_seed() -> int:
    """A seed for a run whose settings leave it open; frozen with the run, so that it can be run again."""
    return int.from_bytes(os.urandom(4), "big")


def read_versions() -> dict[str, str]:
    """The versions that will train, without importing them."""
    versions = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_base(source: str) -> str:
    """The name of a base model as it stands on screen."""
    known = find_base_model(source)
    return known.name if known else Path(source).name
