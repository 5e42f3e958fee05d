"""The training script of diffusers, run step by step beside our own loop.

The script's `main` runs as it is, in a thread that stands still between the rounds: a hook behind the optimizer's step
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
from pathlib import Path
from types import ModuleType
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from bench.torchvision_stub import provide

CHECKOUT = "DIFFUSERS_SCRIPT"


class _End(BaseException):
    """Ends the script's thread."""


class DiffusersScript:
    """`train_text_to_image_lora_sdxl.py` on a folder of pictures with captions beside them.

    Args:
        path: The script, in a checkout of diffusers.
        model: Folder of the base model.
        pictures: PNG files with a text file beside each.
        work: An empty folder for its files.
    """

    def __init__(self, path: Path, *, model: Path, pictures: Path, work: Path, batch_size: int, rank: int, learning_rate: float) -> None:
        data = _image_folder(pictures, work / "data")
        given = {
            "pretrained_model_name_or_path": model,
            "train_data_dir": data,
            "caption_column": "text",
            "cache_dir": work / "cache",
            "output_dir": work / "out",
            "resolution": 128,
            "train_batch_size": batch_size,
            "rank": rank,
            "learning_rate": learning_rate,
            "lr_scheduler": "constant",
            "max_train_steps": 1_000_000,
            "checkpointing_steps": 1_000_000,
            "seed": 0,
        }
        script = _load(path)
        self._arguments = script.parse_args([f"--{key}={value}" for key, value in given.items()])
        self._main = script.main
        self._go: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._rested: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._left = 0
        self._thread = threading.Thread(target=self._work, daemon=True, name="diffusers script")

    def run(self, steps: int) -> None:
        """So many optimizer steps; the first call includes the script's start."""
        self._go.put(steps)
        if not self._thread.is_alive():
            self._thread.start()
        fault = self._rested.get()
        if fault is not None:
            raise RuntimeError(f"The script ended early: {fault}") from fault

    def close(self) -> None:
        """Ends the script where it stands."""
        self._go.put(0)
        self._thread.join()

    def _work(self) -> None:
        hook = register_optimizer_step_post_hook(self._after_step)
        try:
            self._left = self._go.get()
            self._main(self._arguments)
            self._rested.put(RuntimeError("all its steps are done"))
        except _End:
            pass
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._rested.put(error)
        finally:
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


def find_script() -> Path | None:
    """The script where the environment names a checkout of diffusers or the script itself, else None."""
    given = os.environ.get(CHECKOUT)
    if not given:
        return None
    path = Path(given)
    path = path if path.is_file() else path / "examples" / "text_to_image" / "train_text_to_image_lora_sdxl.py"
    if not path.is_file():
        raise SystemExit(f"{CHECKOUT} is {given}; there is no {path}. Give a checkout of diffusers or the script.")
    return path


def _load(path: Path) -> ModuleType:
    provide()
    spec = importlib.util.spec_from_file_location("diffusers_training_script", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _image_folder(pictures: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    with (folder / "metadata.jsonl").open("w") as file:
        for picture in sorted(pictures.glob("*.png")):
            shutil.copy(picture, folder)
            file.write(json.dumps({"file_name": picture.name, "text": picture.with_suffix(".txt").read_text().strip()}) + "\n")
    return folder
