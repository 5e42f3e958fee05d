from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.contract.rundir import RunDir
from tests.backends.engine import toy

PROMPT = "zog on a red background"
SHOWN = {"sample_every": 3, "sample_prompts": [PROMPT], "sample_steps": 2, "sample_guidance_scale": 3.0}
STRONG = {"learning_rate": 5e-2, "alpha": 3.0, "lora_layers": "everything"}  # alpha is not the rank, and the picture changes plainly


@pytest.fixture(scope="session")
def base(toy_base) -> Path:
    """The random base model of SDXL's shape."""
    return toy_base("sdxl")


@pytest.fixture(scope="session")
def finished(base, tmp_path_factory):
    """An uninterrupted run with accumulation, flips, dropped captions and LoRA dropout: what resumed runs must equal."""
    run = toy.make_run(
        tmp_path_factory.mktemp("finished") / "run",
        base,
        sizes=[(64, 64)] * 5 + [(128, 64)] * 3,
        resolution=192,  # the smallest with more buckets than the square one
        gradient_accumulation_steps=2,
        random_flip=True,
        caption_dropout=0.3,
        lora_dropout=0.1,
        lr_scheduler="cosine",
        noise_offset=0.1,
    )
    assert toy.train(run) == 0, run.log.read_text()
    return run


@pytest.fixture(scope="session")
def trained(toy_base, tmp_path_factory) -> Callable[..., RunDir]:
    """A finished run of three steps with samples, made once for each training and its settings."""
    folder, made = tmp_path_factory.mktemp("trained"), {}

    def train(backend: str, **settings: Any) -> RunDir:
        key = (backend, repr(sorted(settings.items())))
        if key not in made:
            common = {"max_train_steps": 3, "checkpointing_steps": 3, "held_out_every": 3, **SHOWN}
            known = STRONG if "text_to_image_full" not in backend and "pix2pix" not in backend else {}
            run = toy.make_run(folder / str(len(made)), toy_base(backend.partition("/")[0]), backend, **{**common, **known, **settings})
            assert toy.train(run) == 0, run.log.read_text()
            made[key] = run
        return made[key]

    return train
