"""The sentence and the advice follow from the curves: other curves, other words."""

from __future__ import annotations

import pytest

from backends.contract.methods.text_to_image import TextToImageConfig
from backends.registry import BACKENDS
from studio.runs.advice import compute_advice, compute_sentence

CONFIG = TextToImageConfig(
    pretrained_model_name_or_path="pocket-sdxl",
    resolution=128,
    learning_rate=1e-4,
    rank=16,
    train_batch_size=4,
    max_train_steps=300,
    trigger_word="zog",
)


def events_of(held_out, train=None, every=25, saves=75):
    events = []
    last = every * (len(held_out) - 1)
    for step in range(1, last + 1):
        loss = train(step) if train else 0.3 - 0.2 * step / last
        events.append({"t": "step", "step": step, "loss": loss})
        if step % saves == 0:
            events.append({"t": "checkpoint", "step": step})
    return events + [{"t": "eval", "step": n * every, "loss": loss, "se": 0.01, "n": 8} for n, loss in enumerate(held_out)]


FALLING = [0.40, 0.36, 0.32, 0.29, 0.26, 0.24, 0.22, 0.20, 0.18]
OVERFIT = [0.40, 0.30, 0.22, 0.18, 0.17, 0.19, 0.21, 0.23, 0.25]
FLAT = [0.40, 0.402, 0.398, 0.401, 0.40, 0.399, 0.40, 0.401, 0.40]
LEVEL = [0.40, 0.28, 0.21, 0.201, 0.20, 0.201, 0.20, 0.199, 0.20]


def kinds(events, config=CONFIG):
    return [a.kind for a in compute_advice(events, config)]


def test_a_falling_curve_says_by_how_much_since_when():
    assert compute_sentence(events_of(FALLING)) == "Still getting better: held-out loss is 0.180, down 18 % since step 150."


def test_a_rising_curve_names_its_lowest_point():
    assert compute_sentence(events_of(OVERFIT)) == "Rising again: held-out loss is 0.250, up 47 % since its lowest at step 100."


def test_a_level_curve_says_so():
    assert compute_sentence(events_of(LEVEL)).startswith("Levelling off: held-out loss is 0.200")


def test_one_noisy_judgement_is_not_called_a_rise():
    noisy = [0.40, 0.30, 0.25, 0.17, 0.20, 0.19, 0.20, 0.19, 0.19]
    assert not compute_sentence(events_of(noisy)).startswith("Rising")
    assert "less" not in kinds(events_of(noisy))


def test_before_the_first_judgements_there_is_no_verdict():
    assert compute_sentence([]) == ""
    assert "have not judged" in compute_sentence([{"t": "step", "step": 3, "loss": 0.31}])
    assert compute_advice([{"t": "step", "step": 3, "loss": 0.31}], CONFIG) == []


def test_a_run_that_learnt_nothing_is_told_to_learn_faster_and_longer_and_to_look_at_the_captions():
    (advice,) = compute_advice(events_of(FLAT), CONFIG)
    assert advice.kind == "more"
    assert "has not learnt" in advice.text
    assert "“zog”" in advice.action
    assert "2e-4" in advice.action
    assert "400 steps" in advice.action


def test_copying_is_told_with_the_better_checkpoint_fewer_steps_and_half_the_learning_rate():
    advice = {a.kind: a for a in compute_advice(events_of(OVERFIT), CONFIG)}["less"]
    assert "since step 100" in advice.text
    assert "checkpoint at step 75" in advice.text
    assert "100 steps, learning rate 5e-5" in advice.action


def test_a_rise_without_a_falling_train_loss_is_not_called_copying():
    assert "less" not in kinds(events_of(OVERFIT, train=lambda step: 0.2 + step / 1000))


def test_a_run_cut_short_is_told_to_go_on_and_one_that_stood_still_to_look_at_rank_and_pictures():
    assert kinds(events_of(FALLING)) == ["good", "more"]
    assert kinds(events_of(LEVEL)) == ["good", "quality"]


@pytest.mark.parametrize("already", [{}, {"train_batch_size": 1, "gradient_checkpointing": True}])
def test_out_of_memory_names_only_levers_that_are_left(already):
    config = CONFIG.model_copy(update=already)
    (advice,) = compute_advice([{"t": "state", "state": "failed", "reason": "Not enough memory on the GPU."}], config)
    assert advice.kind == "memory"
    assert ("batch size 1" in advice.action) is not bool(already)
    assert ("Save memory on" in advice.action) is not bool(already)
    assert "8-bit Adam" in advice.action


def test_a_step_judged_twice_after_a_resume_counts_once():
    doubled = [*events_of(FALLING), {"t": "eval", "step": 200, "loss": 0.10}]
    assert "0.100" in compute_sentence(doubled)


LARGE = CONFIG.model_copy(update={"pretrained_model_name_or_path": "sdxl", "resolution": 1024})


def events_with_shifts(changes, error=0.0004, start=0.112):
    """Of a large base: the loss moves by thousandths, each told with the standard error of the change."""
    events = events_of([start, *(start + change for change in changes)])
    judged = [e for e in events if e["t"] == "eval"]
    for event, change in zip(judged[1:], changes, strict=True):
        event.update(change=change, change_se=error)
    return events


def test_a_small_fall_of_a_large_base_is_good_where_it_is_clear_and_nothing_is_claimed_where_it_is_not():
    small = [-0.0002, -0.0009, -0.0014, -0.0016]
    (advice,) = compute_advice(events_with_shifts(small), LARGE)
    assert advice.kind == "good" and "fell by 1.4 % (give or take 0.4 %)" in advice.text
    assert "fell by 1.4 %" in compute_sentence(events_with_shifts(small))
    (advice,) = compute_advice(events_with_shifts(small, error=0.0008), LARGE)
    assert advice.kind == "more" and advice.text.startswith("No clear change") and "has not learnt" not in advice.text
    assert compute_sentence(events_with_shifts(small, error=0.0008)).startswith("No clear change yet")


def test_a_large_base_that_gets_worse_is_told_so_with_the_step_at_which_it_was_better():
    (advice,) = compute_advice(events_with_shifts([-0.002, -0.003, -0.001, 0.0016]), LARGE)
    assert advice.kind == "less" and "rose by 1.4 %" in advice.text and "lower at step 50" in advice.text and "5e-5" in advice.action
    assert compute_sentence(events_with_shifts([-0.002, -0.003, -0.001, 0.0016])).startswith("Rising again")


def test_of_a_large_base_without_the_change_of_each_evaluation_nothing_is_said():
    assert compute_advice(events_of(FLAT), LARGE) == []


@pytest.mark.parametrize("name", [name for name, b in BACKENDS.items() if b.method_class])
def test_every_training_gets_its_advice_and_none_names_a_setting_that_it_lacks(name):
    config = BACKENDS[name].config(max_train_steps=300)
    (flat,) = compute_advice(events_of(FLAT), config)
    assert ("instructions" in flat.action) is name.endswith("instruct_pix2pix")
    level = compute_advice(events_of(LEVEL), config)[-1]
    assert level.kind == "quality" and ("Rank" in level.action) is hasattr(config, "rank")
    (short,) = compute_advice([{"t": "state", "state": "failed", "reason": "Not enough memory on the GPU."}], config)
    assert "rank" not in short.action  # 4 by default, or none
