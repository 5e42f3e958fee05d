"""`python -m assets.build --all`: builds the bundled models from the icon packages on. See README.md beside this file."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from assets.build.settings import Settings
from assets.build.stages import NAMES, OTHER_STAGES, STAGES, install

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Runs the stages that were asked for; each goes on where it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m assets.build", description="Build the bundled models.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="every stage in its order")
    which.add_argument("--stage", choices=[*STAGES, *OTHER_STAGES], nargs="+", help="only these stages")
    which.add_argument("--install", nargs="*", choices=NAMES, help="replace these models (or all) in assets/models by those in --out")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "work", help="icon packages, arrays and training states")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "pocket", help="the finished models and their report")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threads", type=int, default=2, help="1 on a machine that others use: contended threads cost ten times the CPU time"
    )
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(given.threads)
    settings = Settings(work=given.work, out=given.out, seed=given.seed)
    if given.install is not None:
        install(settings, names=given.install or NAMES)
    else:
        for name in STAGES if given.all else given.stage:
            (STAGES | OTHER_STAGES)[name](settings)


if __name__ == "__main__":
    main()
