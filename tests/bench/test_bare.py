"""The bare loop computes what our step computes, for every training of ours: else their ratio would say nothing."""

from __future__ import annotations

import signal

import pytest
import torch

from bench.bare import BareLoop, load_pipeline
from bench.trainings import Case, build_ours, run_ours
from tests.bench.counting import count_operations


@pytest.fixture
def make_case(tmp_path, toy_base, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def make(training: str, **changes) -> Case:
        family = training.partition("/")[0]
        return Case(training, 2, "everything", tmp_path, base=str(toy_base(family)), resolution=64, rank=2, **changes)

    return make


TRAININGS = ["sd15/instruct_pix2pix", "sdxl/text_to_image", "sdxl/text_to_image_full", "sdxl/dreambooth", "flux/dreambooth"]


@pytest.mark.parametrize("training", TRAININGS)
def test_the_bare_loop_trains_the_same_weights_by_the_same_operations(make_case, training):
    case, interrupt = make_case(training), signal.getsignal(signal.SIGINT)
    ours, bare = build_ours(case), BareLoop(load_pipeline(case), case)
    assert sorted(p.shape for p in bare.parameters) == sorted(p.shape for p in ours.trained.parameters())
    before = [p.detach().clone() for p in bare.parameters]
    operations = count_operations(lambda steps: run_ours(ours, steps))
    assert count_operations(bare.run) == operations > 0
    assert ours.progress.step == 1
    assert signal.getsignal(signal.SIGINT) is interrupt  # Ctrl-C ends a benchmark
    assert any(not torch.equal(p, old) for p, old in zip(bare.parameters, before, strict=True))


def test_a_turn_of_ours_copies_no_weights_for_a_checkpoint(make_case, monkeypatch):
    """It once did, and a turn of five steps cost a sixth more than it should."""
    asked = []
    monkeypatch.setattr("backends.engine.optimizers.gather", lambda *_: asked.append("moments") or {})
    monkeypatch.setattr("backends.engine.trained.gather", lambda *_: asked.append("weights") or {})
    ours = build_ours(make_case("sdxl/text_to_image_full"))
    run_ours(ours, 2)
    assert ours.progress.step == 2 and not asked
    ours.trained.state()
    assert asked == ["weights"]


def test_without_class_pictures_half_as_much_passes_the_model(make_case):
    case = make_case("flux/dreambooth", keeps_class=False)
    with_class = make_case("flux/dreambooth")
    alone = count_operations(BareLoop(load_pipeline(case), case).run)
    assert 1.9 < count_operations(BareLoop(load_pipeline(with_class), with_class).run) / alone <= 2.0
