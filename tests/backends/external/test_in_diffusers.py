"""What ai-toolkit writes, taken over by us, acts in plain diffusers."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline

from backends.contract.base_models import MODELS
from tests.backends.external.conftest import make_harvest
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def draw(pipeline) -> np.ndarray:
    result = pipeline("a cat", width=64, height=64, num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="np")
    return result.images[0]


def test_a_checkpoint_loads_whole_and_changes_the_picture(work, teller, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    program = runpy.run_path(str(ROOT / "tests" / "backends" / "external" / "stand_in" / "run.py"))
    trainer = object.__new__(program["Trainer"])
    trainer.settings, trainer.step = {"network": {"linear": 4}}, 20
    work.weights(20).write_bytes(trainer.pack())
    make_harvest(work, teller).take_weights(lambda step: None, None, ended=True)
    pipeline = FluxPipeline.from_pretrained(str(MODELS / "pocket-flux"), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    before = draw(pipeline)
    path = work.run.weights(20)
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="taken_over")
    loaded = [p for n, p in pipeline.transformer.named_parameters() if ".taken_over." in n]
    assert len(loaded) == 24
    assert np.abs(draw(pipeline) - before).mean() > 0.01
    pipeline.set_adapters(["taken_over"], [0.0])
    assert np.abs(draw(pipeline) - before).max() < 1e-5
