"""Every training teaches its pocket model what it has never seen, and does not seem to when the data are wrong.

Of each family one goes through the real `accelerate launch`, which changes no bit of what is learnt (test_launch.py); the others and all
controls, which have as many steps, begin with their libraries loaded. docs/learning.md has the runs from which the limits were taken,
over three seeds of each training (`make calibrate`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch

from backends.contract.rundir import RunDir
from backends.registry import BACKENDS
from docs.tools.calibrate import FIGURES, SEEDS, list_trials
from studio.web.hardest import describe_pictures
from tests.adapters import write_whole
from tests.edit_proof import Edit, edit_held_out
from tests.learning import PRESETS, Trial, fingerprint, launch, manifest_lines, prepare, subject_of, train_warm

CLEAR = 0.04  # between the limit and the nearest run that was calibrated
EDITS, ASKED = "sd15/instruct_pix2pix", "sdxl/text_to_image"
LAUNCHED = (ASKED, EDITS, "flux/dreambooth")  # each family and most methods once
# An edit is done when the background's mean colour is this near to the wanted one, of 441 (the VAE alone: up to 6), and the subject has
# changed by this much at most, of 255 (the VAE alone: 17 on average; another subject in its place: 89).
NEAR, STAYS, ENOUGH = 30, 65, 16
EACH_PICTURE = {"debug_loss": True, "held_out_every": 30}  # asked about half way too


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Encoded pictures and drawn class pictures, shared by all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(cache, tmp_path_factory):
    """A training's short run on right or wrong data, and its result; made once."""
    made: dict[tuple[str, bool], tuple[RunDir, dict]] = {}

    def train(backend: str, *, wrong: bool) -> tuple[RunDir, dict]:
        if (backend, wrong) not in made:
            trial = Trial(subject_of(backend), 0, wrong, backend)
            changes = trial.short | (EACH_PICTURE if backend == ASKED else {})
            run = prepare(trial, tmp_path_factory.mktemp("runs") / trial.name, **changes)
            launched = backend in LAUNCHED and not wrong
            made[backend, wrong] = run, (launch if launched else train_warm)(run, cache=cache)
        return made[backend, wrong]

    return train


def test_every_training_has_a_trial():
    own = {name for name, backend in BACKENDS.items() if backend.method_class}
    assert PRESETS.keys() == own


@pytest.mark.parametrize("backend", PRESETS)
def test_the_limit_stands_clear_of_all_calibrated_runs(backend):
    """Of today's settings, pictures and base model: where one changes, `make calibrate` has to be run again."""
    figures = json.loads(FIGURES.read_text("utf-8"))
    trials = list_trials([backend], SEEDS)
    assert all(figures[trial.name]["fingerprint"] == fingerprint(trial) for trial in trials), f"make calibrate ARGS='--only {backend}'"
    limit = BACKENDS[backend].learned_ratio
    assert max(figures[t.name]["ratio"] for t in trials if not t.wrong) <= limit - CLEAR
    assert min(figures[t.name]["ratio"] for t in trials if t.wrong) >= limit + CLEAR


@pytest.mark.slow
@pytest.mark.parametrize("backend", PRESETS)
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_right_data_are_learnt_and_wrong_ones_are_not(backend, wrong, trained):
    run, result = trained(backend, wrong=wrong)
    assert result["learned"] is not wrong, result["heldout_loss_ratio"]
    assert result["heldout_loss_ratio"] == result["heldout_loss_end"] / result["heldout_loss_start"]
    weights = safetensors.torch.load_file(run.root / result["lora"])
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.slow
def test_told_to_make_it_blue_a_background_becomes_blue_and_the_subject_stays(trained):
    edits = edit_all(trained(EDITS, wrong=False)[0].result)
    assert count_done(edits) >= ENOUGH, edits


@pytest.mark.slow
@pytest.mark.parametrize("model", ["untrained", "wrong"])
def test_neither_the_base_nor_a_training_on_wrong_pairs_edits_so(model, trained, tmp_path):
    untrained = tmp_path / "unet.safetensors"
    write_whole(untrained, base="pocket-sd15", edits=True, size=0.0, second=0.0)
    edits = edit_all(untrained if model == "untrained" else trained(EDITS, wrong=True)[0].result)
    assert count_done(edits) <= 20 - ENOUGH, edits


def edit_all(weights: Path) -> list[Edit]:
    """The short run hides nothing from its model, so that there is nothing to guide away from."""
    return edit_held_out(weights, "pocket-sd15", num_inference_steps=8, guidance_scale=1.0, image_guidance_scale=1.0)


def count_done(edits: list[Edit]) -> int:
    assert len(edits) == 20
    return sum(edit.background <= NEAR and edit.subject <= STAYS for edit in edits)


@pytest.mark.slow
def test_a_picture_of_something_else_and_a_caption_of_something_else_stand_out_among_twelve(trained, cache, tmp_path):
    trial = Trial("zog", 0, backend=ASKED)
    run = prepare(trial, tmp_path / "run", **trial.short | EACH_PICTURE)
    lines = manifest_lines(trial)
    lines[5] |= {key: manifest_lines(replace(trial, wrong=True))[5][key] for key in ("id", "file")}
    lines[2]["caption"] = "a red house on a blue background"
    run.manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    train_warm(run, cache=cache)
    rows = describe_pictures(run, "run", {})["pictures"]
    assert {row["id"]: row["odd"] for row in rows if row["odd"]} == {lines[5]["id"]: "unlearnt", lines[2]["id"]: "hard"}, rows
    faultless, _ = trained(ASKED, wrong=False)
    rows = describe_pictures(faultless, "run", {})["pictures"]
    assert len(rows) == 12 and not any(row["odd"] for row in rows), rows
