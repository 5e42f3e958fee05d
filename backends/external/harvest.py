"""Takes over what ai-toolkit writes: LoRAs become checkpoints of the run, samples come to the place where the pages look."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.contract import files
from backends.contract.adapter_file import AdapterHeader, read_adapter_header
from backends.contract.errors import DarkroomError
from backends.contract.rundir import LORA, complete_checkpoints
from backends.engine.recipe import Recipe
from backends.engine.whole import prune, write_folder
from backends.external.adapter_copy import copy_adapter, find_not_finite
from backends.external.tell import Teller
from backends.external.work import Work

ROOM = 1.1  # of a file's size must be free before it is copied
_SAMPLE = re.compile(r"(?P<time>\d+)__(?P<step>\d{9})_(?P<number>\d+)\.png")
_PNG_END = b"IEND\xaeB`\x82"
Version = tuple[int, int]
"""Size and time of a file: while both stay, nobody writes it."""


class Harvest:
    """What has been taken over in this attempt, and what is looked at."""

    def __init__(self, work: Work, recipe: Recipe, teller: Teller, *, total: int, limit: int | None) -> None:
        self._work, self._run, self._recipe, self._teller = work, work.run, recipe, teller
        self._total, self._limit = total, limit
        self._looked: dict[str, Version] = {}
        self._done: dict[str, Version] = {}
        self._unjudged: set[int] = set()

    def skip_old(self) -> None:
        """Leaves what is not newer than the newest checkpoint: it was taken over in an earlier attempt, and may have been pruned since."""
        newest = max(complete_checkpoints(self._run), default=0)
        self._done |= {p.name: version for step, p in self._files().items() if step <= newest and (version := _version(p))}

    def take_weights(self, judged: Callable[[int], float | None], best: int | None, *, ended: bool) -> None:
        """Makes checkpoints of the LoRAs that are new and whole.

        Args:
            judged: The held-out loss at a step, where there is one.
            best: The step with the lowest, which is never pruned.
            ended: Nobody writes any more, so that one look is enough.
        """
        for step, path in self._files().items():
            version = _version(path)
            if version is None or self._done.get(path.name) == version:
                continue
            if not ended and self._looked.get(path.name) != version:
                self._looked[path.name] = version
                continue
            header = self._check(path, step, version)
            if header and self._has_room(step, version[0]):
                self._keep(step, path, header, judged(step))
                self._done[path.name] = version
                prune(self._run, self._limit, keep={step, *([best] if best is not None else [])})
        for step in [s for s in self._unjudged if judged(s) is not None]:  # its loss is written when the samples of that step are drawn
            self._unjudged.remove(step)
            self._tell(step, judged(step))

    def take_samples(self, plan: Sequence[tuple[int, int, str, int]]) -> None:
        """Moves the samples that are whole; `plan` is what is drawn, in its order."""
        for path in sorted(self._work.samples.glob("*.png")):
            match = _SAMPLE.fullmatch(path.name)
            if not match or int(match["number"]) >= len(plan) or not _is_whole_png(path):
                continue
            prompt, index, text, seed = plan[int(match["number"])]
            step = int(match["step"])
            target = self._run.sample(step, prompt, index)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            file = target.relative_to(self._run.root).as_posix()
            self._teller.write("sample", step=step, prompt=prompt, text=text, seed=seed, file=file)

    def export(self) -> int:
        """Writes the run's LoRA from its newest checkpoint; that step, or 0 where there is none."""
        step = max(complete_checkpoints(self._run), default=0)
        if step:
            target = self._run.root / LORA
            part = target.with_name(f".{LORA}.part")
            shutil.copyfile(self._run.weights(step), part)
            os.replace(part, target)
            files.sync_folder(self._run.root)
        return step

    def _files(self) -> dict[int, Path]:
        """Step -> the LoRA that ai-toolkit saved there; its last one carries no step in its name."""
        final = {self._total: self._work.final} if self._work.final.is_file() else {}
        return {**dict(self._work.saved()), **final}

    def _check(self, path: Path, step: int, version: Version) -> AdapterHeader | None:
        try:
            header = read_adapter_header(path)
        except DarkroomError:
            return None  # not written to its end; where nobody writes any more it is of no use
        broken = find_not_finite(path, header)
        if not broken:
            return header
        self._done[path.name] = version
        self._teller.notice(
            f"ai-toolkit’s LoRA at step {step} holds values that are not numbers ({broken}), so it is no checkpoint. "
            "Lower the learning rate in a new run.",
            "warning",
        )
        return None

    def _has_room(self, step: int, size: int) -> bool:
        if shutil.disk_usage(self._run.root).free > size * ROOM:
            return True
        self._teller.notice(
            f"The disk is full: the checkpoint at step {step} needs {size / 1e6:,.0f} MB. Free some space; it is taken over then.",
            "warning",
        )
        return False

    def _keep(self, step: int, path: Path, header: AdapterHeader, loss: float | None) -> None:
        notes = self._recipe.header(step, loss)
        write_folder(self._run, step, [(LORA, "adapter", lambda target: copy_adapter(path, target, header, notes))])
        self._tell(step, loss)
        if loss is None:
            self._unjudged.add(step)

    def _tell(self, step: int, loss: float | None) -> None:
        folder = self._run.checkpoint(step).relative_to(self._run.root).as_posix()
        self._teller.write("checkpoint", step=step, folder=folder, heldout_loss=loss)


def restore(work: Work, step: int) -> None:
    """Makes ai-toolkit go on from `step`: it takes the file that was changed last, whichever that is, and none of a later step may stay.

    Files that it wrote and that became no checkpoint are set aside under a name that it does not look for.
    """
    for other, path in [*work.saved(), (step + 1, work.final)]:
        if path.is_file() and other > step:
            os.replace(path, path.with_name(f"set-aside-{path.name}"))
    work.output.mkdir(parents=True, exist_ok=True)
    wanted = work.weights(step)
    if step and not wanted.is_file():
        shutil.copyfile(work.run.weights(step), wanted)
    if step:
        stat = wanted.stat()
        os.utime(wanted, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # it looks at the time of the last change of anything, which is now
    else:
        (work.output / "optimizer.pt").unlink(missing_ok=True)
    for name in (work.losses.name, f"{work.losses.name}-wal", f"{work.losses.name}-shm"):
        work.losses.with_name(name).unlink(missing_ok=True)  # told already; what is left of an abandoned branch must not be told again


def _version(path: Path) -> Version | None:
    try:
        stat = path.stat()
    except FileNotFoundError:  # pruned between two looks
        return None
    return stat.st_size, stat.st_mtime_ns


def _is_whole_png(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(_PNG_END)))
        return file.read() == _PNG_END
