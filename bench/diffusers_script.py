"""The training scripts of diffusers, run step by step beside our own loop.

A script's `main` runs as it is, in a thread that stands still between the rounds: a hook behind the optimizer's step
counts its steps and hands the machine back. So both loops can alternate in one process, and CPU time of the process is
the time of the one that runs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from backends.contract.base_models import parse_source
from backends.contract.settings.lora import FLUX_LORA_LAYERS
from bench.torchvision_stub import provide
from bench.trainings import DROPPED, INSTANCE_PROMPT, PAIRS, Case, name_class

CHECKOUT = "DIFFUSERS_SCRIPT"
LAYERS = "attention"
"""The layers of a LoRA that every script trains."""

# What scripts take for granted and the bundled bases have otherwise: eight channels of latents, a CLIP that reads 24 tokens.
ANY_CHANNELS = (
    ("    in_channels = 8\n", "    in_channels = 2 * unet.config.in_channels\n"),
    ("new_conv_in.weight[:, :4, :, :]", "new_conv_in.weight[:, : unet.conv_in.in_channels]"),
)
ANY_LENGTH = (("        max_length=77,\n", "        max_length=tokenizer.model_max_length,\n"),)


@dataclass(frozen=True)
class Script:
    """One script: its place in a checkout of diffusers, and lines that are read otherwise."""

    place: str
    changes: tuple[tuple[str, str], ...] = ()


SCRIPTS = {
    "sd15/text_to_image": Script("text_to_image/train_text_to_image_lora.py"),
    "sd15/text_to_image_full": Script("text_to_image/train_text_to_image.py"),
    "sd15/dreambooth": Script("dreambooth/train_dreambooth_lora.py"),
    "sd15/instruct_pix2pix": Script("instruct_pix2pix/train_instruct_pix2pix.py", ANY_CHANNELS),
    "sdxl/text_to_image": Script("text_to_image/train_text_to_image_lora_sdxl.py"),
    "sdxl/text_to_image_full": Script("text_to_image/train_text_to_image_sdxl.py"),
    "sdxl/dreambooth": Script("dreambooth/train_dreambooth_lora_sdxl.py"),
    "sdxl/instruct_pix2pix": Script("instruct_pix2pix/train_instruct_pix2pix_sdxl.py", ANY_CHANNELS),
    "flux/dreambooth": Script("dreambooth/train_dreambooth_lora_flux.py", ANY_LENGTH),
}
"""The script of each training; there is none for pictures with captions on Flux."""


class ScriptEndedError(RuntimeError):
    """A script that gave up before its steps were done."""


class _End(BaseException):
    """Ends the script's thread."""


class DiffusersScript:
    """The script of a training, on the same base model and pictures.

    Args:
        path: The script, in a checkout of diffusers.
        case: What is trained; of a LoRA the attention layers.
        more: Arguments beside those of the case.
    """

    def __init__(self, path: Path, case: Case, **more: Any) -> None:
        work = case.folder / "script"
        work.mkdir()
        given = _read_arguments(case, work) | more
        self._path = _copy_changed(path, SCRIPTS[case.training], work)
        self._arguments = [str(path), *(f"--{key}" if value is True else f"--{key}={value}" for key, value in given.items())]
        self._go: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._rested: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._left = 0
        self._thread = threading.Thread(target=self._work, daemon=True, name="diffusers script")

    def run(self, steps: int) -> None:
        """So many optimizer steps; the first call includes the script's start.

        Raises:
            torch.OutOfMemoryError: When the script found no room.
            ScriptEndedError: When it ended for another reason.
        """
        self._go.put(steps)
        if not self._thread.is_alive():
            self._thread.start()
        fault = self._rested.get()
        if isinstance(fault, torch.OutOfMemoryError):
            raise fault
        if fault is not None:
            raise ScriptEndedError(f"The script ended early: {fault}") from fault

    def close(self) -> None:
        """Ends the script where it stands."""
        self._go.put(0)
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        hook = register_optimizer_step_post_hook(self._after_step)
        own = sys.argv
        sys.argv = self._arguments  # where the scripts look; nobody else does while this thread runs
        try:
            self._left = self._go.get()
            script: Any = _load(self._path)
            script.args = script.parse_args()  # some read it as a global of the program that they usually are
            script.main(*([script.args] if script.main.__code__.co_argcount else []))
            self._rested.put(RuntimeError("all its steps are done"))
        except _End:
            pass
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._rested.put(error)
        finally:
            sys.argv = own
            hook.remove()

    def _after_step(self, *_: Any) -> None:
        if threading.current_thread() is not self._thread:
            return
        self._left -= 1
        if self._left == 0:
            self._rested.put(None)
            self._left = self._go.get()
            if self._left == 0:
                raise _End


def find_script(training: str) -> Path | None:
    """The script of a training where the environment names a checkout of diffusers or that very script, else None.

    Raises:
        SystemExit: When it is not there, or of a version that cannot be run here: before anything is measured.
    """
    given, script = os.environ.get(CHECKOUT), SCRIPTS.get(training)
    if not given or not script:
        return None
    path = Path(given)
    if not path.is_file():
        path = path / "examples" / script.place
    elif path.name != Path(script.place).name:
        return None
    if not path.is_file():
        raise SystemExit(f"{CHECKOUT} is {given}; there is no {path}. Give a checkout of diffusers or one of its scripts.")
    _change(path, script)
    return path


def _read_arguments(case: Case, work: Path) -> dict[str, Any]:
    """What the script is told: the same as our run, as far as it knows it."""
    given: dict[str, Any] = {
        "pretrained_model_name_or_path": parse_source(case.source).place,
        "output_dir": work / "out",
        "resolution": case.resolution,
        "train_batch_size": case.batch_size,
        "learning_rate": case.learning_rate,
        "lr_scheduler": "constant",
        "max_train_steps": 1_000_000,
        "checkpointing_steps": 1_000_000,
        "seed": 0,
    }
    if case.trains_lora:
        given["rank"] = case.rank
    if case.backend.family == "flux":
        # The default of 512 words is beyond what a small T5 has learnt; ours reads as many.
        given |= {"lora_layers": ",".join(FLUX_LORA_LAYERS[LAYERS]), "max_sequence_length": count_words(case)}
    return given | _name_pictures(case, work)


def _name_pictures(case: Case, work: Path) -> dict[str, Any]:
    if case.backend.method == "dreambooth":
        folder = _lay_pictures(case.subject, work / "data")
        return {"instance_data_dir": folder, "instance_prompt": INSTANCE_PROMPT, **name_class(case)}
    cache = {"cache_dir": work / "cache"}
    if case.backend.method != "instruct_pix2pix":
        folder = _lay_pictures(case.subject, work / "data", captions=True)
        return cache | {"train_data_dir": folder, "caption_column": "text"}
    columns = {"original_image_column": "before_image", "edit_prompt_column": "text", "edited_image_column": "after_image"}
    return cache | columns | {"train_data_dir": _lay_pairs(case.pairs, work / "data"), "conditioning_dropout_prob": DROPPED}


def count_words(case: Case) -> int:
    """How many tokens the T5 of a base reads."""
    settings = Path(parse_source(case.source).place) / "tokenizer_2" / "tokenizer_config.json"
    return min(512, int(json.loads(settings.read_text("utf-8"))["model_max_length"]))


def _copy_changed(path: Path, script: Script, work: Path) -> Path:
    """The script, or a copy beside the run's files in which some lines are others."""
    if not script.changes:
        return path
    changed = work / path.name
    changed.write_text(_change(path, script), "utf-8")
    return changed


def _change(path: Path, script: Script) -> str:
    """The script's text with its other lines.

    Raises:
        SystemExit: When a line is not there: the script is of another version.
    """
    text = path.read_text("utf-8")
    for old, new in script.changes:
        if old not in text:
            raise SystemExit(f"{path} has no line “{old.strip()}”, so that it cannot train the bundled base.")
        text = text.replace(old, new)
    return text


def _load(path: Path) -> ModuleType:
    provide()
    spec = importlib.util.spec_from_file_location(f"diffusers_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _lay_pictures(pictures: Path, folder: Path, *, captions: bool = False) -> Path:
    """The pictures alone, or with their captions in the table that `datasets` reads."""
    folder.mkdir(parents=True)
    rows = []
    for picture in sorted(pictures.glob("*.png")):
        shutil.copy(picture, folder)
        rows.append({"file_name": picture.name, "text": picture.with_suffix(".txt").read_text().strip()})
    if captions:
        _write_rows(folder, rows)
    return folder


def _lay_pairs(pairs: Path, folder: Path) -> Path:
    """The first pairs, under names of columns from which `datasets` makes pictures."""
    rows = []
    for line in (pairs / "metadata.jsonl").read_text("utf-8").splitlines()[:PAIRS]:
        value = json.loads(line)
        names = {"before": value["input_image"], "after": value["output_image"]}
        for part, name in names.items():
            (folder / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(pairs / name, folder / part)
        rows.append(
            {f"{part}_image_file_name": f"{part}/{Path(name).name}" for part, name in names.items()} | {"text": value["instruction"]}
        )
    _write_rows(folder, rows)
    return folder


def _write_rows(folder: Path, rows: list[dict[str, str]]) -> None:
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
