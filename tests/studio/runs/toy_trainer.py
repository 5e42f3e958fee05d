"""A trainer's outside: writes the contract's events and checkpoints, and misbehaves as it is told to.

`python toy_trainer.py --config RUN/config.yaml [--resume latest]`; TOY in the environment lists its habits.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from backends.contract.events import EventWriter
from backends.contract.rundir import COMPLETE, RunDir, complete_checkpoints

STEP_S = 0.02
PAUSE = threading.Event()
GO = "go"  # `wait@N`: at step N it waits until this file stands in the run's folder


def save(run: RunDir, events: EventWriter, step: int) -> None:
    folder = run.checkpoint(step)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lora.safetensors").write_bytes(b"toy")
    (folder / COMPLETE).touch()
    events.write("checkpoint", step=step, folder=str(folder.relative_to(run.root)), heldout_loss=1 / (step + 1))


def misbehave(habits: list[str], step: int) -> None:
    if f"kill9@{step}" in habits:
        os.kill(os.getpid(), signal.SIGKILL)
    if f"raise@{step}" in habits:
        raise RuntimeError("the toy broke")
    if f"exit0@{step}" in habits:
        sys.exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    parser.add_argument("--resume")
    arguments = parser.parse_args()
    run = RunDir(arguments.config.parent)
    habits = os.environ.get("TOY", "").split()
    last = next((int(h.split("=")[1]) for h in habits if h.startswith("steps=")), 1_000_000)
    if "deaf" in habits:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in habits:
        subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
    if "stranger" in habits:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    events = EventWriter(run.events)
    begin = max(complete_checkpoints(run), default=0) if arguments.resume == "latest" else 0
    events.write("state", state="running", step=begin, reason="")
    for step in range(begin + 1, last + 1):
        misbehave(habits, step)
        while f"wait@{step}" in habits and not (run.root / GO).exists():
            PAUSE.wait(STEP_S)
        events.write("step", step=step, loss=1 / step, lr=1e-4, steps_per_s=1 / STEP_S, epoch=0, memory_mib=10)
        if step % 10 == 0:
            events.write("eval", step=step, loss=1 / step, se=0.0, n=8)
            save(run, events, step)
        if run.stop_request.exists() and "deaf" not in habits:
            save(run, events, step)
            events.write("state", state="stopped", step=step, reason="")
            return
        PAUSE.wait(STEP_S)
    events.write("result", steps=last, seconds=last * STEP_S, steps_per_s=1 / STEP_S, heldout_loss_ratio=0.5, learned=True)
    events.write("state", state="finished", step=last, reason="")


if __name__ == "__main__":
    main()
