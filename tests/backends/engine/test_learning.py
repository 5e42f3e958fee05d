"""The pocket model learns a mascot that it has never seen, and does not seem to when the pictures are wrong."""

from __future__ import annotations

import pytest
import safetensors.torch

from backends.engine.running import LEARNED_RATIO
from tests.learning import Trial, train


@pytest.mark.slow
def test_a_mascot_is_learnt(tmp_path):
    result = train(Trial("zog", 0), tmp_path / "run")
    assert result["learned"] and result["heldout_loss_ratio"] < LEARNED_RATIO - 0.15
    assert result["heldout_loss_ratio"] == result["heldout_loss_end"] / result["heldout_loss_start"]
    assert len(safetensors.torch.load_file(tmp_path / "run" / result["lora"])) == 228


@pytest.mark.slow
def test_wrong_pictures_under_the_same_captions_fail_the_same_judgement(tmp_path):
    result = train(Trial("zog", 0, wrong=True), tmp_path / "run")
    assert not result["learned"] and result["heldout_loss_ratio"] > LEARNED_RATIO + 0.05
