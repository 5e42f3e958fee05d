"""Killed and resumed, every kind of training ends with the very numbers of a run that nobody disturbed."""

from __future__ import annotations

from typing import Any

import pytest
import safetensors.torch

from backends.engine import checkpoint as checkpoints
from tests.backends.engine import toy

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "prodigy": ("sdxl/text_to_image", {"optimizer": "prodigy", "learning_rate": 1.0}),
    "schedule_free": ("sdxl/text_to_image", {"optimizer": "schedule_free", "lr_scheduler": "constant_with_warmup", "lr_warmup_steps": 2}),
    "average": ("sdxl/text_to_image", {"use_ema": True}),
    "dora": ("sd15/text_to_image", {"lora_variant": "dora", "lora_layers": "everything", "lora_dropout": 0.2}),
    "rslora": ("flux/text_to_image", {"lora_variant": "rslora", "weighting_scheme": "logit_normal"}),
    "loha": ("sdxl/text_to_image", {"lora_variant": "loha", "lora_dropout": 0.2}),
    "lokr": ("sd15/text_to_image", {"lora_variant": "lokr", "lora_layers": "everything"}),
    "text encoders": ("sdxl/dreambooth", {"train_text_encoder": True, "text_encoder_lr": 1e-3}),
    "Flux with its text encoder": ("flux/dreambooth", {"train_text_encoder": True, "text_encoder_lr": 1e-3, "lora_layers": "everything"}),
    "class": ("sd15/dreambooth", toy.PRIOR),
    "whole": ("sdxl/text_to_image_full", {"use_ema": True, "gradient_accumulation_steps": 2}),
    "whole, schedule_free": ("sd15/text_to_image_full", {"optimizer": "schedule_free"}),
    "edits": ("sdxl/instruct_pix2pix", {"use_ema": True, "conditioning_dropout_prob": 0.2}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(toy_base, tmp_path, kind):
    backend, settings = KINDS[kind]
    settings = {"max_train_steps": 4, **settings}
    runs = [toy.make_run(tmp_path / name, toy_base(backend.partition("/")[0]), backend, **settings) for name in ("whole", "killed")]
    assert toy.train(runs[0]) == 0, runs[0].log.read_text()
    assert toy.train(runs[1], fault="step.end=kill9@3") == -9
    assert toy.train(runs[1], "--resume", "latest") == 0, runs[1].log.read_text()
    assert toy.difference(runs[1].result, runs[0].result) == 0
    for name in (checkpoints.STATE_TENSORS, runs[0].result.name):
        assert toy.difference(runs[1].checkpoint(4) / name, runs[0].checkpoint(4) / name) == 0
    first, last = (safetensors.torch.load_file(runs[0].weights(step)) for step in (2, 4))
    assert any((first[key] != last[key]).any() for key in first)  # it did learn on, so that equality says something


@pytest.mark.parametrize("kind", ["average", "schedule_free"])
def test_what_is_kept_is_the_average_and_what_goes_on_are_the_trained_values(toy_base, tmp_path, kind):
    run = toy.make_run(tmp_path / "run", toy_base("sdxl"), **{**KINDS[kind][1], "max_train_steps": 4})
    assert toy.train(run) == 0, run.log.read_text()
    kept = safetensors.torch.load_file(run.weights(4))
    live = safetensors.torch.load_file(run.checkpoint(4) / checkpoints.STATE_TENSORS)
    going = {key: value for key, value in live.items() if key.startswith("live/")}
    assert len(going) == len(kept)
    assert any((going[f"live/{key.replace('.weight', '.default.weight')}"] != value).any() for key, value in kept.items())
    assert toy.difference(run.result, run.weights(4)) == 0
