"""Every training teaches its pocket model what it has never seen, and does not seem to when the data are wrong.

Each run goes through the real `accelerate launch`. The right one and its control have as many steps; docs/learning.md has the runs
over several seeds from which the limit was taken.
"""

from __future__ import annotations

import pytest
import safetensors.torch

from backends.registry import BACKENDS
from tests.learning import PRESETS, Trial, train

STEPS = 120  # of a preset's 200 to 300: enough to tell right from wrong
EDITS = {"max_train_steps": 150, "train_batch_size": 8}
OTHERS = [name for name in PRESETS if name != "sdxl/text_to_image"]


def test_every_training_has_a_trial():
    own = {name for name, backend in BACKENDS.items() if backend.method_class}
    assert PRESETS.keys() == own


@pytest.mark.slow
def test_a_mascot_is_learnt(tmp_path):
    result = train(Trial("zog", 0), tmp_path / "run")
    assert result["learned"] and result["heldout_loss_ratio"] < BACKENDS["sdxl/text_to_image"].learned_ratio - 0.15
    assert result["heldout_loss_ratio"] == result["heldout_loss_end"] / result["heldout_loss_start"]
    assert len(safetensors.torch.load_file(tmp_path / "run" / result["lora"])) == 228


@pytest.mark.slow
def test_wrong_pictures_under_the_same_captions_fail_the_same_judgement(tmp_path):
    result = train(Trial("zog", 0, wrong=True), tmp_path / "run")
    assert not result["learned"] and result["heldout_loss_ratio"] > BACKENDS["sdxl/text_to_image"].learned_ratio + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_right_data_are_learnt_and_wrong_ones_are_not(backend, wrong, tmp_path):
    edits = backend.endswith("instruct_pix2pix")
    changes = EDITS if edits else {"max_train_steps": STEPS}
    trial = Trial("edits" if edits else "zog", 0, wrong, backend)
    result = train(trial, tmp_path / "run", sample_every=0, **changes)
    assert result["learned"] is not wrong, result["heldout_loss_ratio"]
