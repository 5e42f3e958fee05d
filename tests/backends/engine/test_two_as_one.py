"""Two processes train what one process with twice the batch trains, and go on bit for bit where they were killed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from backends.engine import checkpoint as checkpoints
from backends.engine.order import SampleOrder
from backends.methods.instruct_pix2pix import drop_parts
from tests.backends.engine import toy

PRIOR = {**toy.PRIOR, "num_class_images": 4, "sample_batch_size": 2}
KINDS: dict[str, dict[str, Any]] = {
    "sdxl/text_to_image": {"random_flip": True, "caption_dropout": 0.5, "snr_gamma": 5.0, "noise_offset": 0.1},
    "sd15/text_to_image_full": {"use_ema": True},
    "flux/dreambooth": {**PRIOR, "train_text_encoder": True},  # two modules that are trained
    "sd15/instruct_pix2pix": {"conditioning_dropout_prob": 0.2, "use_ema": True},
}
LIMIT = 2e-5
"""Largest difference of a gradient's value, relative to the largest value of its tensor: two sums of four, rounded differently."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request, toy_base, tmp_path_factory) -> toy.Trained:
    """Three steps by two processes."""
    base = toy_base(request.param.partition("/")[0])
    settings = {**KINDS[request.param], "max_train_steps": 3, "checkpointing_steps": 1, "max_grad_norm": 0}
    run = toy.make_run(tmp_path_factory.mktemp("pair") / "run", base, request.param, num_processes=2, **settings)
    assert toy.train_ranks(run) == [0, 0], run.log.read_text()
    return toy.Trained(run, request.param, {"pretrained_model_name_or_path": str(base), **settings})


def test_two_ranks_average_the_gradient_of_one_with_twice_the_batch(pair, tmp_path):
    settings = {**pair.settings, "train_batch_size": 4, "max_train_steps": 1}
    drawn = next(iter((pair.run.root / "cache" / "drawn").glob("*")), None)  # pictures of the class, drawn by two
    run = toy.make_run(tmp_path / "run", settings.pop("pretrained_model_name_or_path"), pair.backend, **settings)
    run.manifest.write_text(pair.run.manifest.read_text())
    if drawn:
        run.config.write_text(run.config.read_text().replace("class_data_dir: null", f"class_data_dir: {drawn}"))
    assert toy.train(run) == 0, run.log.read_text()
    one, two = (safetensors.torch.load_file(r.checkpoint(1) / checkpoints.STATE_TENSORS) for r in (run, pair.run))
    gradients = {key: value for key, value in one.items() if key.endswith("/exp_avg")}  # (1 - beta 1) of the first gradient
    assert sum(bool(value.any()) for value in gradients.values()) >= len(gradients) / 2
    for key, value in gradients.items():
        assert (two[key] - value).abs().max() <= LIMIT * value.abs().max(), key


def test_two_ranks_killed_and_resumed_end_as_if_they_had_not_been(pair, tmp_path):
    run = toy.copy_run(pair.run, tmp_path / "run")
    codes = toy.train_ranks(run, fault="step.after_backward=kill9@3#1")
    assert codes[1] == -9 and codes[0] != 0
    assert toy.train_ranks(run, "--resume", "latest") == [0, 0], run.log.read_text()
    assert toy.difference(run.result, pair.run.result) == 0
    for name in (checkpoints.STATE_TENSORS, pair.run.result.name):
        assert toy.difference(run.checkpoint(3) / name, pair.run.checkpoint(3) / name) == 0


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_order_of_samples_is_that_of_one_rank_with_the_whole_batch(ranks):
    groups = ["square"] * 7 + ["wide"] * 5
    shown = {"seed": 3, "flip_share": 0.5, "dropped": partial(drop_parts, 0.2)}
    one = SampleOrder(groups, batch_size=2 * ranks, **shown)
    many = SampleOrder(groups, batch_size=2, ranks=ranks, **shown)
    for position in range(50):
        whole, parts = one.pick(position), [many.pick(position, rank) for rank in range(ranks)]
        for name in ("indices", "flips", "drops"):
            assert [value for part in parts for value in getattr(part, name)] == getattr(whole, name)


def test_ranks_share_the_drawing_of_class_pictures_and_one_draws_the_same(toy_base, tmp_path):
    settings = {**PRIOR, "max_train_steps": 1, "num_class_images": 5}
    runs = [
        toy.make_run(
            tmp_path / f"{n}", toy_base("sd15"), "sd15/dreambooth", num_processes=n, class_data_dir=str(tmp_path / f"c{n}"), **settings
        )
        for n in (1, 2)
    ]
    assert toy.train(runs[0]) == 0 and toy.train_ranks(runs[1]) == [0, 0], runs[1].log.read_text()
    told = [e for e in toy.events_of(runs[1], "phase") if e["phase"] == "drawing"]
    assert max(e["total"] for e in told) == 3  # rank 0's share of five
    one, two = ({p.name: np.asarray(Image.open(p)).astype(int) for p in (tmp_path / f"c{n}").iterdir()} for n in (1, 2))
    assert sorted(one) == sorted(two) == [f"drawn_{n:05d}.png" for n in range(5)]
    assert max(np.abs(one[name] - two[name]).max() for name in one) <= 1


def test_a_killed_drawing_is_completed_as_it_was_begun(toy_base, tmp_path):
    folder = tmp_path / "class"
    settings = {**PRIOR, "sample_batch_size": 1, "max_train_steps": 1, "class_data_dir": str(folder)}
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/dreambooth", num_processes=2, **settings)
    codes = toy.train_ranks(run, fault="draw.picture=kill9@1#1")
    assert codes[1] == -9
    (folder / "drawn_00000.png").unlink(missing_ok=True)
    Image.new("RGB", (64, 64), "red").save(folder / "mine.png")
    before = read_pictures(folder)
    assert "mine.png" in before
    assert toy.train_ranks(run) == [0, 0], run.log.read_text()
    after = read_pictures(folder)
    assert sorted(after) == ["drawn_00000.png", "drawn_00001.png", "drawn_00002.png", "mine.png"]
    assert before.items() <= after.items()  # what was whole is not drawn again


def read_pictures(folder: Path) -> dict[str, bytes]:
    """Those that are whole: the others' names begin with a dot."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}
