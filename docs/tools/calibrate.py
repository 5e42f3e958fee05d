"""Trains every subject and every seed, right and wrong, and writes docs/learning.md: `make calibrate` (about 15 minutes)."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from docs.tools.serve import ROOT
from tests.learning import PRESET, Trial, train

LIMIT = 0.85
OUT = ROOT / "docs" / "learning.md"
FIGURES = ROOT / "docs" / "learning.json"
HEAD = f"""# How learning is proven

Twelve pictures of a sample subject are trained on with the preset `{PRESET}`; twelve other pictures of the same
subject, never trained on, judge. Their loss is measured with fixed noise at fixed timesteps before and after, so that nothing
but the LoRA changes between the two. A run **has learnt** when that loss ends below **{LIMIT}** of its start. The control
trains on wrong pictures under the same captions, and has to fail: a measure that falls for any training would prove nothing.

Written by `make calibrate`; figures of one machine with 2 CPU cores, one thread a run.

| run | seed | held-out loss, start | end | ratio | learnt | best step | training |
|---|---|---|---|---|---|---|---|
"""


def row(trial: Trial, result: dict) -> str:
    """One line of the table."""
    what = f"{trial.subject}, **wrong pictures**" if trial.wrong else trial.subject
    cells = [what, trial.seed, f"{result['heldout_loss_start']:.4f}", f"{result['heldout_loss_end']:.4f}"]
    cells += [f"**{result['heldout_loss_ratio']:.3f}**", "yes" if result["learned"] else "no", result["best_step"]]
    return "| " + " | ".join(str(c) for c in [*cells, f"{result['seconds']:.0f} s"]) + " |"


def conclusion(results: dict[Trial, dict]) -> str:
    """What the table says, computed from it."""
    right = [r["heldout_loss_ratio"] for t, r in results.items() if not t.wrong]
    wrong = [r["heldout_loss_ratio"] for t, r in results.items() if t.wrong]
    agree = sum(r["learned"] is not t.wrong for t, r in results.items())
    return (
        f"\nRight pictures end between {min(right):.2f} and {max(right):.2f} of the start, wrong ones between {min(wrong):.2f} and "
        f"{max(wrong):.2f}; the limit of {LIMIT} lies between them. {agree} of {len(results)} runs were judged as they should be.\n"
    )


def main() -> None:
    """Runs all trials one after the other; exit code 1 where one is judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    trials = [Trial(subject, seed, wrong) for subject in ("zog", "glorp") for wrong in (False, True) for seed in seeds]
    results: dict[Trial, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials:
            results[trial] = train(trial, Path(folder) / trial.name, sample_every=0)
            sys.stderr.write(row(trial, results[trial]) + "\n")
    OUT.write_text(HEAD + "\n".join(row(t, r) for t, r in results.items()) + "\n" + conclusion(results), "utf-8")
    FIGURES.write_text(json.dumps({t.name: r for t, r in results.items()}, indent=1) + "\n", "utf-8")
    sys.exit(any(r["learned"] is t.wrong for t, r in results.items()))


if __name__ == "__main__":
    main()
