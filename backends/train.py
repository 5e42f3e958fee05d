"""The trainer: `accelerate launch -m backends.train --config RUN/config.yaml [--resume latest]`.

Exit code 0: finished or stopped, as the last `state` event says. Anything else: failed, with a `state` event that says
why in plain words; the traceback is in the log only.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from backends.contract.config import parse_config, read_config_document
from backends.contract.errors import DarkroomError
from backends.contract.events import EventWriter, read_events
from backends.contract.rundir import RunDir
from backends.registry import find_backend

log = logging.getLogger("darkroom.train")


def main(arguments: list[str] | None = None) -> int:
    """Trains the run whose settings `--config` names; gives the exit code."""
    parser = argparse.ArgumentParser(prog="backends.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the run's config.yaml; its folder is the run's folder")
    parser.add_argument("--resume", default=None, help="latest, or a checkpoint's folder or name")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    run = RunDir(given.config.resolve().parent)
    rank = int(os.environ.get("RANK", "0"))
    writer = EventWriter(run.events)
    try:
        return _train(run, given, writer if rank == 0 else None)
    except Exception as error:  # noqa: BLE001 - the edge of the process: every fault becomes one plain sentence
        log.exception("The training failed")
        _write_failure(run, writer, explain(error), rank)
        return 1
    finally:
        writer.close()


def _train(run: RunDir, given: argparse.Namespace, writer: EventWriter | None) -> int:
    from backends.engine.reporter import Reporter

    reporter = Reporter(writer)
    reporter.write("state", state="running", step=0, reason="")
    reporter.phase("starting")
    document = read_config_document(given.config)
    backend = find_backend(document["backend"])
    config = parse_config(backend.config, document["config"])
    from backends.engine.running import run_training  # torch, diffusers and peft take seconds: the page already shows a start

    return run_training(run, backend, config, reporter, resume=given.resume, began=time.monotonic())


def explain(error: BaseException) -> str:
    """What went wrong, for a person; running out of memory and of disk are told apart from the rest."""
    if isinstance(error, DarkroomError):
        return error.text
    if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "AcceleratorError") and "memory" in str(error):
        return _explain_memory(error)
    if isinstance(error, RuntimeError) and ("out of memory" in str(error) or "can't allocate memory" in str(error)):
        return _explain_memory(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Free some space, then resume: the checkpoints so far are whole."
    if isinstance(error, PermissionError):
        return f"{error.filename} may not be written. Give the studio the right to write there, then resume."
    first = (str(error).splitlines() or [""])[0]
    return f"The trainer met something it does not know: {type(error).__name__}: {first} The log has the details."


def _explain_memory(error: BaseException) -> str:
    where = "the GPU" if "CUDA" in str(error) or type(error).__name__ == "OutOfMemoryError" else "this machine"
    return (
        f"Not enough memory on {where}. Set the batch size to 1 and accumulation to 8, switch Save memory on, lower the resolution or "
        "the rank, or switch 8-bit Adam on; then start again."
    )


def _write_failure(run: RunDir, writer: EventWriter, reason: str, rank: int) -> None:
    """One reason only: when one rank fails, the others fail of its absence a moment later."""
    states = [event for event in read_events(run.events) if event["t"] in ("state", "step")]
    steps = [event["step"] for event in states if event["t"] == "step"]
    last: dict[str, Any] = states[-1] if states else {}
    if last.get("state") == "failed":
        return
    log.error("Rank %d: %s", rank, reason)
    writer.write("state", state="failed", step=steps[-1] if steps else 0, reason=reason)


def leave(code: int) -> NoReturn:
    """Ends the process. One of several is ended hard, everything being written, because torch's process group must not be taken apart.

    The group's destructor holds Python's lock while it waits for a thread of gloo, which may itself wait for that lock to drop the last
    tensors: about one run in fifty on a full machine had finished and never ended (torch 2.13).
    """
    torch_distributed = sys.modules.get("torch.distributed")
    if torch_distributed is None or not torch_distributed.is_initialized():
        sys.exit(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
