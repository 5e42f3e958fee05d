"""The real trainer on base models of ten thousand random numbers: a run in two seconds, killed wherever a test likes.

Trainers are forked from a warm parent (multiprocessing's forkserver), which has torch and diffusers imported already.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from backends.contract.config import parse_config, write_config
from backends.contract.events import read_events
from backends.contract.rundir import RunDir
from backends.registry import BACKENDS, find_backend
from tests.backends import toys
from tests.ports import free_port

BACKEND = "sdxl/text_to_image"
CODE = sorted({path.partition(":")[0] for b in BACKENDS.values() for path in (b.family_class, b.method_class) if path})
PRELOAD = ["backends.train", "backends.engine.running", "diffusers.pipelines", "tests.backends.engine.warm", *CODE]
DEADLINE_S = 120
PRIOR = {"with_prior_preservation": True, "class_prompt": "a dog", "instance_prompt": "zog dog", "num_class_images": 2}
# Who runs the tests may have a token for the hub. A trainer is forked off a parent with an environment of its own, so that it is told.
NO_TOKEN = {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_TOKEN_PATH": os.devnull}
build_base = toys.build_base

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOAD)


@dataclass
class Trained:
    """A run that was trained undisturbed, and its settings, the base model's among them."""

    run: RunDir
    backend: str
    settings: dict[str, Any]


def make_run(
    root: Path, base: Path, backend: str = BACKEND, *, sizes: list[tuple[int, int]] | None = None, rows: Any = None, **settings: Any
) -> RunDir:
    """A run folder, ready to start: six steps, a checkpoint every two."""
    run = RunDir(root)
    root.mkdir(parents=True)
    if rows is None:
        draw = toys.draw_pairs if backend.endswith("instruct_pix2pix") else toys.draw_pictures
        rows = draw(root / "own", sizes or [(64, 64)] * 6)
    run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "pretrained_model_name_or_path": str(base),
        "resolution": 64,
        "train_batch_size": 2,
        "max_train_steps": 6,
        "rank": 2,
        "learning_rate": 1e-2,
        "seed": 1,
        "checkpointing_steps": 2,
        "sample_every": 0,
        "held_out_every": 2,
        "log_every": 2,
        "sample_steps": 1,
        "report_to": "none",
        "lr_warmup_steps": 0,
    }
    kind = find_backend(backend).config
    known = {name: value for name, value in values.items() if name in kind.model_fields}
    write_config(run.config, parse_config(kind, known | settings), backend, {})
    return run


def copy_run(run: RunDir, root: Path) -> RunDir:
    """The same run in another folder, before its start."""
    root.mkdir(parents=True)
    for path in (run.config, run.manifest):
        shutil.copy(path, root)
    return RunDir(root)


def start(run: RunDir, *arguments: str, fault: str = "", **environment: str) -> Any:
    """A trainer process on the run; `exitcode` as everywhere (-9 after signal 9)."""
    environment = {"OMP_NUM_THREADS": "1", "DARKROOM_FAULT": fault, "HF_HUB_OFFLINE": "1", **NO_TOKEN, **environment}
    return start_process(_be_trainer, str(run.config), list(arguments), environment)


def start_process(target: Any, *arguments: Any) -> Any:
    """A process that begins with torch and diffusers imported."""
    process = _context.Process(target=target, args=arguments)
    process.start()
    return process


def train(run: RunDir, *arguments: str, fault: str = "", deadline_s: float = DEADLINE_S, **environment: str) -> int:
    """Runs a trainer to its end; gives the exit code, negative for a signal."""
    process = start(run, *arguments, fault=fault, **environment)
    process.join(deadline_s)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the trainer did not end:\n" + run.log.read_text())
    return process.exitcode


def train_ranks(run: RunDir, *arguments: str, ranks: int = 2, fault: str = "") -> list[int]:
    """Runs one trainer a rank over gloo, with the environment that torchrun gives; the exit codes."""
    started = [start(run, *arguments, fault=fault, **environment) for environment in describe_ranks(ranks)]
    codes = []
    for process in started:
        process.join(DEADLINE_S)
        if process.exitcode is None:
            for other in started:
                other.kill()
            raise AssertionError("a rank did not end:\n" + run.log.read_text())
        codes.append(process.exitcode)
    return codes


def describe_ranks(ranks: int) -> list[dict[str, str]]:
    """The environment of each rank, as torchrun gives it."""
    shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "ACCELERATE_USE_CPU": "true"}
    shared |= {"LOCAL_WORLD_SIZE": str(ranks), "GLOO_SOCKET_IFNAME": "lo"}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]


def _be_trainer(config: str, arguments: list[str], environment: dict[str, str]) -> None:
    gc.freeze()  # a million objects of the parent's imports: looking through them is half of a run
    os.environ.update(environment)
    # As in a trainer that was launched. Left as it comes, its loading processes would begin with a fork server, and 8 s of imports.
    multiprocessing.set_start_method("fork", force=True)
    log = os.open(Path(config).parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    from backends import train as trainer
    from backends.engine import cache, faults

    faults.arm()
    cache.MOST_IN_MEMORY = int(os.environ.get("TOY_MOST_IN_MEMORY", cache.MOST_IN_MEMORY))
    trainer.leave(trainer.main(["--config", config, *arguments]))


def events_of(run: RunDir, kind: str) -> list[dict[str, Any]]:
    """Events of one kind, in order."""
    return [event for event in read_events(run.events) if event["t"] == kind]


def last_state(run: RunDir) -> dict[str, Any]:
    """The last state event."""
    return events_of(run, "state")[-1]


def difference(one: Path, other: Path) -> float:
    """Largest difference between two safetensors files with the same tensors."""
    a, b = safetensors.torch.load_file(one), safetensors.torch.load_file(other)
    assert a.keys() == b.keys()
    return max((a[k].double() - b[k].double()).abs().max().item() for k in a)
