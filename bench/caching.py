"""What encoding pictures and captions once saves at every step, against encoding them anew: `python -m bench.caching`.

Our trainer twice, on the bundled base of each family, once with “Keep encoded pictures” and once without, in turns. What kept
pictures cost is paid back when each was shown for the second time, because encoding one costs the same in both. Memory is looked
at in a process of its own for each way: tensors alive between two steps, and the peak of the whole process during steps.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ACCELERATE_USE_CPU", "true")

import torch  # noqa: E402

from bench.memory import count_alive, forget_peak, read_peak_mib  # noqa: E402
from bench.trainings import Case, build_ours, run_ours  # noqa: E402
from bench.turns import Loop, summarize, take_turns  # noqa: E402

TRAININGS = ["sd15/text_to_image", "sd15/instruct_pix2pix", "sdxl/text_to_image", "sdxl/instruct_pix2pix", "flux/text_to_image"]
WAYS = {"kept": True, "anew": False}


def build_loops(training: str, batch_size: int, folder: Path) -> dict[str, Loop]:
    """Our trainer twice, once in each way."""
    loops: dict[str, Loop] = {}
    for way, kept in WAYS.items():
        loops[way] = partial(run_ours, build_ours(make_case(training, batch_size, folder / way), cache_latents=kept))
    return loops


def compare(training: str, batch_size: int, folder: Path, *, steps: int, rounds: int) -> dict[str, object]:
    """Milliseconds a step of both ways, and kept as a ratio of anew."""
    found = take_turns(build_loops(training, batch_size, folder), steps=steps, rounds=rounds, warm_up=3)
    return dict(summarize(found))


def weigh(training: str, batch_size: int, folder: Path, *, kept: bool, steps: int) -> dict[str, float]:
    """MiB of one way in this process, which must have done nothing else."""
    training_run = build_ours(make_case(training, batch_size, folder), cache_latents=kept)
    run_ours(training_run, 2)
    forget_peak()
    run_ours(training_run, steps)
    return {"tensors MiB": round(count_alive() / 2**20, 1), "peak MiB": round(read_peak_mib())}


def weigh_alone(training: str, batch_size: int, folder: Path, *, kept: bool, steps: int) -> dict[str, float]:
    """The same in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(weigh, training, batch_size, folder, kept=kept, steps=steps).result()


def make_case(training: str, batch_size: int, folder: Path) -> Case:
    """On the bundled base, with all layers of a LoRA."""
    folder.mkdir(parents=True, exist_ok=True)
    return Case(training, batch_size, "everything", folder)


def main() -> None:
    """Writes one JSON line a training and batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", nargs="*", choices=TRAININGS, default=TRAININGS)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for training in given.training:
        for batch_size in given.batch:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                told = compare(training, batch_size, folder, steps=given.steps, rounds=given.rounds)
                for way, kept in WAYS.items():
                    memory = weigh_alone(training, batch_size, folder / f"{way} alone", kept=kept, steps=given.steps)
                    told |= {f"{way} {what}": value for what, value in memory.items()}
            sys.stdout.write(json.dumps({"training": training, "batch": batch_size} | told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
