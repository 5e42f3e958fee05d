"""Pictures in the making on the Generate page: one job a press of the button, its pictures kept in the history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.contract.drawing import describe_base, fit_size
from backends.contract.errors import DarkroomError
from backends.contract.result_file import check_family
from studio.workers.generator import Column, Generator, mixing
from studio.workers.history import History
from studio.workers.inputs import InputPicture, InputShelf
from studio.workers.jobs import Job, JobBoard
from studio.workers.loras import LoraShelf
from studio.workspace import Workspace, safe_id

MAX_PICTURES = 32
KEPT_JOBS = 100


@dataclass(frozen=True)
class Strip:
    """The same picture at each of these values: the weight of the first result, or how closely an edit keeps its picture."""

    over: Literal["weight", "image_guidance_scale"]
    values: tuple[float, ...]


class DrawJobs:
    """Draws from settings that name results and pictures by key or id (`LoraShelf`, `InputShelf`), never by path.

    `status` gives state (running | done | failed | cancelled | interrupted), reason, phase, done and total (denoising
    steps), seconds_left, notices, edits (whether a picture is edited), strip ({over, values, key} or None) and pictures:
    [{id, label, ready}].
    """

    def __init__(self, workspace: Workspace, generator: Generator) -> None:
        self._folder = workspace.cache / "draw"
        self._generator, self._history = generator, History(workspace)
        self._shelf, self._inputs = LoraShelf(workspace), InputShelf(workspace)
        self._board = JobBoard()

    def start(self, values: dict[str, Any], *, strip: Strip | None = None, num_pictures: int = 1) -> str:
        """Begins drawing and returns the job's id at once.

        Args:
            values: As in `DrawConfig`, but `loras` is [{key, weight}] and `image` an id, or {id, ...} as in the history.
            strip: Draws the same picture at each of its values.
            num_pictures: Without a strip, so many pictures from seeds that follow each other.

        Raises:
            DarkroomError: With every fault of the settings, before anything is started.
        """
        keys = [str(u["key"]) for u in values.get("loras", []) if u.get("key")]
        image = self._find_image(values.get("image"))
        config = parse_config(DrawConfig, self._resolve(values, image))
        for lora in config.loras:
            check_family(Path(lora.path), config.base_model)
        count = len(strip.values) if strip else num_pictures
        if not 1 <= count <= MAX_PICTURES:
            raise DarkroomError(f"{count} pictures at once; it must be 1 to {MAX_PICTURES}.", field="num_pictures")
        configs = _vary(config, strip, num_pictures)
        job_id = f"draw-{time.time_ns():x}"
        ids = [self._history.new_id() for _ in configs]
        labels = [f"{v:.2f}" for v in strip.values] if strip else [str(c.seed) for c in configs]
        pictures = [{"id": i, "label": label, "ready": False} for i, label in zip(ids, labels, strict=True)]
        told = {"over": strip.over, "values": list(strip.values), "key": keys[0] if keys else ""} if strip else None
        first = {"phase": "waiting", "done": 0, "total": 0, "seconds_left": None, "notices": [], "pictures": pictures}
        first |= {"edits": image is not None, "strip": told}
        settings = [_settings(c, keys, image) for c in configs]
        self._forget_old()
        self._board.start(self._folder / f"{job_id}.json", first, lambda job: self._work(job, configs, ids, settings))
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

    def _find_image(self, asked: Any) -> InputPicture | None:
        picture_id = asked.get("id") if isinstance(asked, dict) else asked
        return self._inputs.get(picture_id) if picture_id else None

    def _resolve(self, values: dict[str, Any], image: InputPicture | None) -> dict[str, Any]:
        """The settings with paths for keys and ids; the base model where none is named is that of the first result."""
        uses = [dict(u) for u in values.get("loras", []) if u.get("key")]
        paths = [{"path": str(self._shelf.path(str(u["key"]))), "weight": u.get("weight", 1.0)} for u in uses]
        found = {**values, "loras": paths, "image": str(self._inputs.path_of(image.id)) if image else None}
        if not found.get("base_model") and uses:
            found["base_model"] = self._shelf.get(str(uses[0]["key"])).base_model or "pocket-sdxl"
        if image and not (found.get("width") and found.get("height")):
            base = describe_base(str(found.get("base_model") or "pocket-sdxl"))
            size = fit_size(image.width, image.height, resolution=base.resolution, step=base.side_step)
            found["width"], found["height"] = size
        return {k: v for k, v in found.items() if k != "base_model" or v}

    def _forget_old(self) -> None:
        """The statuses of long ago say nothing that the history does not."""
        for path in sorted(self._folder.glob("draw-*.json"), reverse=True)[KEPT_JOBS:]:
            path.unlink(missing_ok=True)

    def _work(self, job: Job, configs: list[DrawConfig], ids: list[str], settings: list[dict[str, Any]]) -> None:
        columns = [Column(_changes(c), (self._history.path(i),)) for c, i in zip(configs, ids, strict=True)]
        clock = Clock()
        try:
            for reply in job.follow(self._generator.grid(configs[0], [{}], columns)):
                if reply["kind"] == "phase":
                    job.update(phase=reply["phase"])
                elif reply["kind"] == "notice":
                    job.update(notices=[*job.values["notices"], reply["text"]])
                elif reply["kind"] == "step":
                    done, total = int(reply["done"]), int(reply["total"])
                    job.update(now=False, phase="drawing", done=done, total=total, seconds_left=clock.left(done, total))
                elif reply["kind"] == "picture":
                    index = int(reply["column"])
                    self._history.add(ids[index], settings[index], float(reply["seconds"]))
                    pictures = [dict(p) for p in job.values["pictures"]]
                    pictures[index]["ready"] = True
                    job.update(pictures=pictures)
        finally:
            for output_id in ids:
                self._history.release_id(output_id)


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


def _vary(config: DrawConfig, strip: Strip | None, num_pictures: int) -> list[DrawConfig]:
    """The settings of each picture.

    Raises:
        DarkroomError: When a strip has nothing to go over, or a value out of its range.
    """
    if strip is None:
        return [config.model_copy(update={"seed": (config.seed + i) % 2**32}) for i in range(num_pictures)]
    if strip.over == "weight":
        if not config.loras:
            raise DarkroomError("A strip over the scale needs a LoRA. Add one first.", field="loras")
        first, rest = config.loras[0], config.loras[1:]
        mixes = [(LoraUse(path=first.path, weight=w), *rest) for w in (_checked(w) for w in strip.values)]
        return [config.model_copy(update={"loras": mix}) for mix in mixes]
    if config.image is None:
        raise DarkroomError("A strip over “Keep the picture” needs a picture to edit. Choose one first.", field="image")
    return [parse_config(DrawConfig, config.model_dump() | {strip.over: value}) for value in strip.values]


def _changes(config: DrawConfig) -> dict[str, Any]:
    """What may differ between the pictures of one job."""
    return {"seed": config.seed, "image_guidance_scale": config.image_guidance_scale, **mixing(*config.loras)}


def _checked(weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError):
        value = float("nan")
    if not -2 <= value <= 2:
        raise DarkroomError(f"The weight is {weight}; it must be a number from -2 to 2.", field="loras")
    return value


def _settings(config: DrawConfig, keys: list[str], image: InputPicture | None) -> dict[str, Any]:
    """What stands beside the picture: everything that it takes to draw it again, without a path."""
    loras = [{"key": k, "weight": u.weight} for k, u in zip(keys, config.loras, strict=True)]
    shown = {"id": image.id, "name": image.name, "width": image.width, "height": image.height} if image else None
    return config.model_dump(mode="json") | {"loras": loras, "image": shown}
