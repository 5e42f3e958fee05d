"""CPU time of our training step against a bare loop's and the diffusers script's: `python -m bench.train_step`.

Every training of ours, on the bundled base of its family. The bare loop (bench/bare.py) has everything that a step cannot do
without and nothing else. With a checkout of diffusers in the environment variable DIFFUSERS_SCRIPT the script of each training
runs too, on the same pictures; the scripts train the attention layers of a LoRA alone, so that all do then. They take turns in
one process on one thread; what counts is the ratio within a round.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ACCELERATE_USE_CPU", "true")

import torch  # noqa: E402

from backends.contract.settings.lora import UNET_LORA_LAYERS  # noqa: E402
from bench.bare import BareLoop, load_pipeline  # noqa: E402
from bench.diffusers_script import CHECKOUT, LAYERS, DiffusersScript, find_script  # noqa: E402
from bench.trainings import OWN, Case, build_ours, run_ours  # noqa: E402
from bench.turns import Loop, summarize, take_turns  # noqa: E402

WARM_UP = 5  # steps


def compare(case: Case, *, steps: int, rounds: int, script: Path | None, warm_up: int = WARM_UP) -> dict[str, object]:
    """Milliseconds a step of each loop and our ratio to the others, as least, median and most of the rounds."""
    loops: dict[str, Loop] = {"ours": partial(run_ours, build_ours(case)), "bare": BareLoop(load_pipeline(case), case).run}
    close: Callable[[], None] = lambda: None  # noqa: E731
    if script:
        theirs = DiffusersScript(script, case)
        loops["script"], close = theirs.run, theirs.close
    found = take_turns(loops, steps=steps, rounds=rounds, warm_up=warm_up)
    close()
    told: dict[str, object] = {"training": case.training, "batch": case.batch_size}
    return told | ({"layers": case.layers} if case.trains_lora else {}) | summarize(found)


def main() -> None:
    """Writes one JSON line a training and batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", nargs="*", choices=OWN, default=OWN, help="Default: all.")
    parser.add_argument("--steps", type=int, default=5, help="Of each loop in a turn; short turns meet the same load.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--layers", choices=list(UNET_LORA_LAYERS), help=f"Default: everything; {LAYERS} beside a script.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for training in given.training:
        script = find_script(training)
        if script and given.layers not in (None, LAYERS):
            parser.error(f"--layers is {given.layers}; the scripts train the {LAYERS} layers alone. Leave {CHECKOUT} or --layers out.")
        layers = given.layers or (LAYERS if script else "everything")
        for batch_size in given.batch:
            with tempfile.TemporaryDirectory() as folder:
                case = Case(training, batch_size, layers, Path(folder))
                found = compare(case, steps=given.steps, rounds=given.rounds, script=script)
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
            gc.collect()


if __name__ == "__main__":
    main()
