from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.engine import toy


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
