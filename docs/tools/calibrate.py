"""Trains with every back end over several seeds, right and wrong, and writes docs/learning.md: `make calibrate` (about half an hour).

Figures are kept in docs/learning.json after every trial, so that a broken-off calibration goes on where it was. A trial is run again
when its settings, its pictures or its base model have changed since, or with --anew: `make calibrate ARGS="--only sd15/dreambooth"`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.contract import files
from backends.registry import BACKENDS
from docs.tools.serve import ROOT
from tests.learning import PRESETS, Trial, fingerprint, prepare, subject_of, train_warm

OUT = ROOT / "docs" / "learning.md"
FIGURES = ROOT / "docs" / "learning.json"
SEEDS = 3
SECOND_SUBJECT = {"sdxl/text_to_image": ("glorp",)}
HEAD = """# How learning is proven

Each training is tried with a bundled base model, with right data and with wrong ones.

- **Pictures**: twelve of a sample subject that the base has never seen are trained on, twelve others of the same subject judge. The
  control trains on wrong pictures under the same captions: of four other things, or for DreamBooth, whose one prompt four things teach
  hardly more than their plain backgrounds, of another subject.
- **Edits**: the 480 sample pairs are trained on, twenty pairs of things that are not among them judge. The control trains on the same
  pictures with the wanted ones dealt out to other pairs.

What judges is never trained on. Its loss is measured with fixed noise at fixed timesteps before and after, so that nothing but what was
learnt changes between the two. A run **has learnt** when that loss ends below the **limit** of its start. The control has to fail: a
measure that falls for any training would prove nothing. The limits stand in `backends/registry.py`. They hold for the bundled bases
alone: a large base has seen nearly everything, so of it nothing is claimed.

The runs are shorter than their presets, just long enough to tell right from wrong; the suite holds seed 0 of each, the right ones through
the real `accelerate launch` (`tests/backends/engine/test_learning.py`). Written by `make calibrate`; figures of one machine with 2 CPU
cores, one thread a run.

"""
Figures = dict[str, dict[str, Any]]


def list_trials(backends: Sequence[str], seeds: int) -> list[Trial]:
    """Seed 0 of everything first, so that a calibration that is broken off has seen all."""
    subjects = {name: [subject_of(name), *SECOND_SUBJECT.get(name, ())] for name in backends}
    return [
        Trial(subject, seed, wrong, name)
        for seed in range(seeds)
        for name in backends
        for subject in subjects[name]
        for wrong in (False, True)
    ]


def run_trial(trial: Trial, folder: Path, cache: Path) -> dict[str, Any]:
    """One training; what is kept of it."""
    result = train_warm(prepare(trial, folder / trial.name, **trial.short), cache=cache)
    return {
        "backend": trial.backend,
        "subject": trial.subject,
        "seed": trial.seed,
        "wrong": trial.wrong,
        "steps": result["steps"],
        "batch": trial.short.get("train_batch_size", trial.settings["train_batch_size"]),
        "start": round(result["heldout_loss_start"], 4),
        "end": round(result["heldout_loss_end"], 4),
        "ratio": round(result["heldout_loss_ratio"], 3),
        "seconds": round(result["seconds"]),
        "fingerprint": fingerprint(trial),
    }


def judged_rightly(row: dict[str, Any]) -> bool:
    """Whether today's limit tells this run for what it was."""
    return (row["ratio"] < BACKENDS[row["backend"]].learned_ratio) is not row["wrong"]


def describe(figures: Figures) -> str:
    """The page: a line a training, then a line a run."""
    rows = list(figures.values())
    named = [name for name in PRESETS if any(row["backend"] == name for row in rows)]
    right = sum(map(judged_rightly, rows))
    return "\n".join(
        [
            HEAD + "| training | preset | steps x batch | right data end at | limit | wrong data end at | judged rightly |",
            "|---|---|---|---|---|---|---|",
            *(_line_of_training(name, [row for row in rows if row["backend"] == name]) for name in named),
            f"\n{right} of {len(rows)} runs were judged as they should be.\n\n## All runs\n",
            "| training | data | seed | held-out loss, start | end | ratio | time |",
            "|---|---|---|---|---|---|---|",
            *(_line_of_run(row) for name in named for row in _sorted(rows, name)),
            "",
        ]
    )


def _line_of_training(name: str, rows: list[dict[str, Any]]) -> str:
    backend, judged = BACKENDS[name], f"{sum(map(judged_rightly, rows))} of {len(rows)}"
    cells = [backend.title, f"`{PRESETS[name]}`", f"{rows[0]['steps']} x {rows[0]['batch']}", _span(rows, wrong=False)]
    return "| " + " | ".join([*cells, f"**{backend.learned_ratio:.2f}**", _span(rows, wrong=True), judged]) + " |"


def _span(rows: list[dict[str, Any]], *, wrong: bool) -> str:
    ratios = [row["ratio"] for row in rows if row["wrong"] is wrong]
    return f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "not run"


def _sorted(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return sorted((row for row in rows if row["backend"] == name), key=lambda row: (row["wrong"], row["subject"], row["seed"]))


def _line_of_run(row: dict[str, Any]) -> str:
    data = f"{row['subject']}, **wrong**" if row["wrong"] else row["subject"]
    cells = [
        row["backend"],
        data,
        row["seed"],
        f"{row['start']:.4f}",
        f"{row['end']:.4f}",
        f"**{row['ratio']:.3f}**",
        f"{row['seconds']} s",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Runs what is not known yet, one after the other; exit code 1 where a run is judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="*", choices=list(PRESETS), help="these trainings; else all")
    parser.add_argument("--anew", action="store_true", help="also what is known already")
    parser.add_argument("--write", action="store_true", help="trains nothing, writes the page from the figures that are there")
    arguments = parser.parse_args()
    figures: Figures = files.read_json(FIGURES) or {}
    trials = [] if arguments.write else list_trials(arguments.only or list(PRESETS), arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials:
            known = figures.get(trial.name, {}).get("fingerprint")
            if known == fingerprint(trial) and not arguments.anew:
                continue
            figures[trial.name] = run_trial(trial, Path(folder), Path(os.environ.get("DARKROOM_CACHE") or Path(folder) / "cache"))
            FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n", "utf-8")
            sys.stderr.write(_line_of_run(figures[trial.name]) + "\n")
    OUT.write_text(describe(figures), "utf-8")
    sys.exit(not all(map(judged_rightly, figures.values())))


if __name__ == "__main__":
    main()
