"""The results that can be drawn with, LoRAs and whole models: those of the runs, their checkpoints, and files that a person added."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.contract.config import read_config_document
from backends.contract.errors import DarkroomError
from backends.contract.result_file import read_result
from backends.contract.rundir import LORA, RunDir, complete_checkpoints
from backends.registry import learns_edits
from studio.workspace import Workspace, new_id, safe_id

_KEY = re.compile(r"(?:(run):([a-z0-9_-]+)(?:@(\d{1,9}))?|(file):([a-z0-9_-]+))")


@dataclass(frozen=True)
class LoraInfo:
    """One result. `step` is None for a run's final file and for added files; `key` is what pages and settings name it by.

    `kind` is lora, model (all weights) or edit (all weights of a model that edits); `family` is empty where its file does not tell.
    """

    key: str
    name: str
    step: int | None
    kept: bool
    trigger_word: str
    base_model: str
    kind: str = "lora"
    family: str = ""


class LoraShelf:
    """Finds LoRAs by key: `run:zog-03`, `run:zog-03@300`, `file:soft-fruit`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def folder(self) -> Path:
        """Where added files lie."""
        return self._workspace.root / "loras"

    def list(self, *, checkpoints: bool = False) -> list[LoraInfo]:
        """Newest first: each run's kept or final LoRA, or with `checkpoints` each of its checkpoints too, then added files."""
        runs = [p for p in self._workspace.runs.iterdir() if p.is_dir()] if self._workspace.runs.is_dir() else []
        runs.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        found = [info for run in runs for info in self._of_run(RunDir(run), checkpoints)]
        if self.folder.is_dir():
            found += [self._of_file(p) for p in sorted(self.folder.glob("*.safetensors"))]
        return found

    def get(self, key: str) -> LoraInfo:
        """The LoRA of this key."""
        match = _KEY.fullmatch(key)
        path = self.path(key)
        if match and match[4]:
            return self._of_file(path)
        run = RunDir(self._workspace.run(match[2] if match else ""))
        return _describe(run, int(match[3]) if match and match[3] else None, _read_notes(run))

    def path(self, key: str) -> Path:
        """Its file.

        Raises:
            DarkroomError: When the key is none, or its file is gone.
        """
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if not match:
            raise DarkroomError(f"“{str(key)[:80]}” is not the key of a LoRA.", field="loras")
        if match[4]:
            path = self.folder / f"{safe_id(match[5], 'LoRA')}.safetensors"
        else:
            run = RunDir(self._workspace.run(match[2]))
            path = run.weights(int(match[3])) if match[3] else run.result
        if not path.is_file():
            raise DarkroomError(f"The LoRA “{key.partition(':')[2]}” is not there any more.", field="loras")
        return path

    def take(self, source: Path) -> LoraInfo:
        """As `add` under its own name, unless the very same file was taken in before."""
        size = source.stat().st_size
        same = [p for p in sorted(self.folder.glob("*.safetensors")) if p.stat().st_size == size] if self.folder.is_dir() else []
        for path in same:
            if filecmp.cmp(source, path, shallow=False):
                return self.get(f"file:{path.stem}")
        return self.add(source, source.name)

    def add(self, source: Path, name: str) -> LoraInfo:
        """Copies a checked .safetensors file in under a name of its own."""
        read_result(source)
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"\.safetensors$", "", name)
        taken = {p.stem for p in self.folder.glob("*.safetensors")}
        lora_id, count = new_id(stem, self.folder), 1
        while lora_id in taken:
            count += 1
            lora_id = f"{new_id(stem, self.folder)}-{count}"
        part = self.folder / f".{lora_id}.part"
        try:
            shutil.copyfile(source, part)
            part.rename(self.folder / f"{lora_id}.safetensors")
        finally:
            part.unlink(missing_ok=True)
        return self.get(f"file:{lora_id}")

    def _of_run(self, run: RunDir, checkpoints: bool) -> Sequence[LoraInfo]:
        steps, notes = complete_checkpoints(run), _read_notes(run)
        found = [_describe(run, notes.kept, notes)] if notes.kept in steps else []
        if run.result.is_file():
            found.append(_describe(run, None, notes))
        if checkpoints or not found:
            wanted = steps if checkpoints else steps[-1:]
            found += [_describe(run, step, notes) for step in reversed(wanted) if step != notes.kept]
        return found

    def _of_file(self, path: Path) -> LoraInfo:
        try:
            _, facts = read_result(path)
        except DarkroomError:
            return LoraInfo(f"file:{path.stem}", path.stem, None, False, "", "")
        return LoraInfo(f"file:{path.stem}", path.stem, None, False, facts.trigger_word, facts.base_model, facts.kind, facts.family)


def kept_step(run: RunDir) -> int | None:
    """The step that the person chose to keep, or None."""
    kept: Any = files.read_json(run.kept)
    step = kept.get("step") if isinstance(kept, dict) else None
    return step if isinstance(step, int) else None


def read_settings(run: RunDir) -> dict[str, Any]:
    """The run's settings as plain values; empty where they cannot be read."""
    try:
        config = read_config_document(run.config)["config"]
    except DarkroomError:
        return {}
    return config if isinstance(config, dict) else {}


@dataclass(frozen=True)
class _Notes:
    """What a run's files say of all its results, read once."""

    name: str
    trigger_word: str
    base_model: str
    family: str
    edits: bool
    kept: int | None


def read_backend(run: RunDir) -> str:
    """The run's back end, family/method; empty where its settings cannot be read."""
    try:
        return str(read_config_document(run.config)["backend"])
    except DarkroomError:
        return ""


def _read_notes(run: RunDir) -> _Notes:
    try:
        document = read_config_document(run.config)
    except DarkroomError:
        document = {"backend": "", "config": {}}
    settings = document["config"] if isinstance(document["config"], dict) else {}
    info: Any = files.read_json(run.info)
    name = str(info.get("name") or run.root.name) if isinstance(info, dict) else run.root.name
    backend = str(document["backend"])
    trigger, base = str(settings.get("trigger_word") or ""), str(settings.get("pretrained_model_name_or_path") or "")
    return _Notes(name, trigger, base, backend.partition("/")[0], learns_edits(backend), kept_step(run))


def _describe(run: RunDir, step: int | None, notes: _Notes) -> LoraInfo:
    key = f"run:{run.root.name}" + (f"@{step}" if step is not None else "")
    path = run.result if step is None else run.weights(step)
    kind = "lora" if path.name == LORA else "edit" if notes.edits else "model"
    kept = step is not None and step == notes.kept
    return LoraInfo(key, notes.name, step, kept, notes.trigger_word, notes.base_model, kind, notes.family)
