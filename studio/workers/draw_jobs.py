"""Pictures in the making on the Generate page: one job a press of the button, its pictures kept in the history."""

from __future__ import annotations

import time
from typing import Any

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.contract.errors import DarkroomError
from studio.workers.generator import Column, Generator
from studio.workers.history import History
from studio.workers.jobs import Job, JobBoard
from studio.workers.loras import LoraShelf
from studio.workspace import Workspace, safe_id

MAX_PICTURES = 32
KEPT_JOBS = 100


class DrawJobs:
    """Draws from settings that name LoRAs by key (`LoraShelf`), never by path.

    `status` gives state (running | done | failed | cancelled | interrupted), reason, phase, done and total (denoising
    steps), seconds_left, notices, and pictures: [{id, label, ready}].
    """

    def __init__(self, workspace: Workspace, generator: Generator) -> None:
        self._folder = workspace.cache / "draw"
        self._generator, self._history, self._shelf = generator, History(workspace), LoraShelf(workspace)
        self._board = JobBoard()

    def start(self, values: dict[str, Any], *, weights: list[float] | None = None, num_pictures: int = 1) -> str:
        """Begins drawing and returns the job's id at once.

        Args:
            values: As in `DrawConfig`, but `loras` is [{key, weight}].
            weights: Draws a strip: the same picture at each of these weights of the first LoRA.
            num_pictures: Without `weights`, so many pictures from seeds that follow each other.

        Raises:
            DarkroomError: With every fault of the settings, before anything is started.
        """
        uses = [dict(u) for u in values.get("loras", []) if u.get("key")]
        paths = [{"path": str(self._shelf.path(str(u["key"]))), "weight": u.get("weight", 1.0)} for u in uses]
        config = parse_config(DrawConfig, {**values, "loras": paths})
        if weights is not None and not uses:
            raise DarkroomError("A strip over the scale needs a LoRA. Add one first.", field="loras")
        count = len(weights) if weights is not None else num_pictures
        if not 1 <= count <= MAX_PICTURES:
            raise DarkroomError(f"{count} pictures at once; it must be 1 to {MAX_PICTURES}.", field="num_pictures")
        configs = _vary(config, weights, num_pictures)
        job_id = f"draw-{time.time_ns():x}"
        ids = [self._history.new_id() for _ in configs]
        labels = [f"{w:.2f}" for w in weights] if weights is not None else [str(c.seed) for c in configs]
        pictures = [{"id": i, "label": label, "ready": False} for i, label in zip(ids, labels, strict=True)]
        first = {"phase": "waiting", "done": 0, "total": 0, "seconds_left": None, "notices": [], "pictures": pictures}
        keys = [str(u["key"]) for u in uses]
        self._forget_old()
        self._board.start(self._folder / f"{job_id}.json", first, lambda job: self._work(job, configs, ids, keys))
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        """How far the job is."""
        status = self._board.status(self._folder / f"{safe_id(job_id, 'drawing')}.json")
        if status is None:
            raise DarkroomError(f"There is no drawing “{job_id}”.")
        return status

    def cancel(self, job_id: str) -> None:
        """Ends the job at its next step; pictures that are ready stay."""
        self._board.cancel(self._folder / f"{safe_id(job_id, 'drawing')}.json")

    def _forget_old(self) -> None:
        """The statuses of long ago say nothing that the history does not."""
        for path in sorted(self._folder.glob("draw-*.json"), reverse=True)[KEPT_JOBS:]:
            path.unlink(missing_ok=True)

    def _work(self, job: Job, configs: list[DrawConfig], ids: list[str], keys: list[str]) -> None:
        try:
            if len({c.seed for c in configs}) == 1:  # one request, so that the worker sees the whole strip
                self._draw(job, configs, ids, keys, offset=0, total=len(configs))
            else:
                for offset, config in enumerate(configs):
                    self._draw(job, [config], ids[offset : offset + 1], keys, offset=offset, total=len(configs))
        finally:
            for output_id in ids:
                self._history.release_id(output_id)

    def _draw(self, job: Job, configs: list[DrawConfig], ids: list[str], keys: list[str], *, offset: int, total: int) -> None:
        columns = [Column(c.loras, (self._history.path(i),)) for c, i in zip(configs, ids, strict=True)]
        clock = Clock()
        steps = total * (configs[0].num_inference_steps or 0)
        before = offset * (configs[0].num_inference_steps or 0)
        for reply in job.follow(self._generator.grid(configs[0], [configs[0].prompt], columns)):
            if reply["kind"] == "phase":
                job.update(phase=reply["phase"])
            elif reply["kind"] == "notice":
                job.update(notices=[*job.values["notices"], reply["text"]])
            elif reply["kind"] == "step":
                done = before + int(reply["done"])
                job.update(now=False, phase="drawing", done=done, total=steps, seconds_left=clock.left(done - before, steps - before))
            elif reply["kind"] == "picture":
                index = int(reply["column"])
                self._history.add(ids[index], _settings(configs[index], keys), float(reply["seconds"]))
                pictures = [dict(p) for p in job.values["pictures"]]
                pictures[offset + index]["ready"] = True
                job.update(pictures=pictures)


class Clock:
    """Time left from the pace since the first step; the loading before it does not count."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> float | None:
        """Seconds left, or None while nothing was measured."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
            return None
        began, first = self._first
        return round((now - began) / (done - first) * (total - done), 1) if done > first else None


def _vary(config: DrawConfig, weights: list[float] | None, num_pictures: int) -> list[DrawConfig]:
    if weights is None:
        return [config.model_copy(update={"seed": (config.seed + i) % 2**32}) for i in range(num_pictures)]
    first, rest = config.loras[0], config.loras[1:]
    mixes = [(LoraUse(path=first.path, weight=w), *rest) for w in (_checked(w) for w in weights)]
    return [config.model_copy(update={"loras": mix}) for mix in mixes]


def _checked(weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError):
        value = float("nan")
    if not -2 <= value <= 2:
        raise DarkroomError(f"The weight is {weight}; it must be a number from -2 to 2.", field="loras")
    return value


def _settings(config: DrawConfig, keys: list[str]) -> dict[str, Any]:
    loras = [{"key": k, "weight": u.weight} for k, u in zip(keys, config.loras, strict=True)]
    return config.model_dump(mode="json") | {"loras": loras}
