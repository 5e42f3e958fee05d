"""Every training teaches its pocket model what it has never seen, and does not seem to when the data are wrong.

The right runs go through the real `accelerate launch`; their controls have as many steps. docs/learning.md has the runs over several
seeds from which the limits were taken.
"""

from __future__ import annotations

import json

import pytest
import safetensors.torch

from backends.registry import BACKENDS
from docs.tools.calibrate import FIGURES, SEEDS, list_trials
from tests.learning import PRESETS, Trial, fingerprint, launch, prepare, subject_of, train_warm

CLEAR = 0.04  # between the limit and the nearest run over all seeds


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Encoded pictures and drawn class pictures, shared by all runs."""
    return tmp_path_factory.mktemp("cache")


def test_every_training_has_a_trial():
    own = {name for name, backend in BACKENDS.items() if backend.method_class}
    assert PRESETS.keys() == own


@pytest.mark.parametrize("backend", PRESETS)
def test_the_limit_stands_clear_of_all_calibrated_runs(backend):
    """Of today's settings, pictures and base model: where one changes, `make calibrate` has to be run again."""
    figures, trials = json.loads(FIGURES.read_text("utf-8")), list_trials([backend], SEEDS)
    assert all(figures[trial.name]["fingerprint"] == fingerprint(trial) for trial in trials), f"make calibrate ARGS='--only {backend}'"
    limit = BACKENDS[backend].learned_ratio
    assert max(figures[t.name]["ratio"] for t in trials if not t.wrong) <= limit - CLEAR
    assert min(figures[t.name]["ratio"] for t in trials if t.wrong) >= limit + CLEAR


@pytest.mark.slow
@pytest.mark.parametrize("backend", PRESETS)
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_right_data_are_learnt_and_wrong_ones_are_not(backend, wrong, cache, tmp_path):
    trial = Trial(subject_of(backend), 0, wrong, backend)
    train = train_warm if wrong else launch
    result = train(prepare(trial, tmp_path / "run", **trial.short), cache=cache)
    assert result["learned"] is not wrong, result["heldout_loss_ratio"]
    assert result["heldout_loss_ratio"] == result["heldout_loss_end"] / result["heldout_loss_start"]
    weights = safetensors.torch.load_file(tmp_path / "run" / result["lora"])
    assert all(tensor.isfinite().all() and tensor.any() for tensor in weights.values())
