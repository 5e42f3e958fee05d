"""The update: clipping as torch's own, and nothing at all where a gradient is not a number."""

from __future__ import annotations

import copy

import pytest
import torch

from backends.engine.optimizers import OptimizerPlan, Updater, build_optimizer

PLAN = OptimizerPlan(learning_rate=1e-2, betas=(0.9, 0.999), weight_decay=1e-2, epsilon=1e-8)


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (7,), (2, 2, 2))]


def gradients(size, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [size * torch.randn(p.shape, generator=generator) for p in parameters()]


def plain_adamw(ours, max_norm, rounds):
    """The same with torch.nn.utils.clip_grad_norm_ and the unfused AdamW."""
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    optimizer = torch.optim.AdamW(theirs, lr=1e-2, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8, fused=False, foreach=False)
    for grads in rounds:
        for p, g in zip(theirs, grads, strict=True):
            p.grad = g.clone()
        if max_norm:
            torch.nn.utils.clip_grad_norm_(theirs, max_norm)
        optimizer.step()
    return theirs


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("max_norm", [0.0, 1.0, 1e6], ids=["no limit", "above the limit", "below it"])
def test_clipping_equals_torchs_own(fused, max_norm):
    ours = parameters()
    rounds = [gradients(3.0, seed) for seed in range(4)]
    expected = plain_adamw(ours, max_norm, rounds)
    optimizer = build_optimizer(ours, PLAN)
    if not fused:
        optimizer = torch.optim.AdamW(ours, lr=1e-2, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8, foreach=True)
    updater = Updater(optimizer, curve=lambda step: 1e-2, max_norm=max_norm, scaler=None)
    for step, grads in enumerate(rounds):
        for p, g in zip(ours, grads, strict=True):
            p.grad = g.clone()
        updater.update(step)
    assert all(p.grad is None for p in ours)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_a_long_gradient_leaves_nothing_behind_for_a_short_one():
    ours = parameters()
    rounds = [gradients(size, seed) for seed, size in enumerate((5.0, 0.01, 5.0, 0.02))]
    expected = plain_adamw(ours, 1.0, rounds)
    updater = Updater(build_optimizer(ours, PLAN), curve=lambda step: 1e-2, max_norm=1.0, scaler=None)
    for step, grads in enumerate(rounds):
        for p, g in zip(ours, grads, strict=True):
            p.grad = g.clone()
        updater.update(step)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_a_number_changes_nothing(bad, max_norm):
    ours = parameters()
    updater = Updater(build_optimizer(ours, PLAN), curve=lambda step: 1e-2, max_norm=max_norm, scaler=None)
    for p, g in zip(ours, gradients(1.0), strict=True):
        p.grad = g
    updater.update(0)
    before = [p.detach().clone() for p in ours]
    state = copy.deepcopy(updater.optimizer.state_dict()["state"])
    for p, g in zip(ours, gradients(1.0, 2), strict=True):
        p.grad = g
    ours[1].grad[0] = bad
    updater.update(1)
    assert all(torch.equal(a, b) for a, b in zip(ours, before, strict=True))
    after = updater.optimizer.state_dict()["state"]
    assert all(torch.equal(state[i][k], after[i][k]) for i in state for k in ("exp_avg", "exp_avg_sq"))
