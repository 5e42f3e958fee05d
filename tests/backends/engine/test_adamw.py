"""AdamW by lists made once: the same numbers, state and file as torch's own, whatever has a gradient."""

from __future__ import annotations

import copy

import pytest
import torch

from backends.engine.adamw import ListedAdamW

SHAPES = ((4, 3), (7,), (2, 2, 2), (5,))
SETTINGS = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 1e-2, "eps": 1e-8}


def build(kind, **settings):
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 5e-3}]
    return parameters, kind(groups, **{**SETTINGS, **settings})


def give(parameters, seed, without=()):
    generator = torch.Generator().manual_seed(seed)
    for number, parameter in enumerate(parameters):
        gradient = torch.randn(parameter.shape, generator=generator)
        parameter.grad = None if number in without else gradient


def torchs_own(*groups, **settings):
    return torch.optim.AdamW(*groups, fused=True, **settings)


def equal(left, right):
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def equal_states(left, right):
    one, other = left.state_dict()["state"], right.state_dict()["state"]
    return one.keys() == other.keys() and all(torch.equal(one[n][k], other[n][k]) for n in other for k in other[n])


@pytest.mark.parametrize(
    "missing",
    [[(), (), (), ()], [(1,), (1,), (1,), (1,)], [(), (2,), (), (0, 1), ()], [(0, 1, 2, 3), (), (3,), (2,)]],
    ids=["all have a gradient", "one never has", "sometimes one has none", "at first none has"],
)
def test_the_weights_and_the_state_are_those_of_torchs_own_to_the_bit(missing):
    ours, one = build(ListedAdamW)
    theirs, other = build(torchs_own)
    for seed, without in enumerate(missing):
        for parameters, optimizer in ((ours, one), (theirs, other)):
            give(parameters, seed, without)
            optimizer.step()
    assert equal(ours, theirs)
    assert equal_states(one, other)


def test_a_learning_rate_changed_between_two_steps_counts_at_the_next_one():
    ours, one = build(ListedAdamW)
    theirs, other = build(torchs_own)
    for seed, rate in enumerate((1e-2, 3e-3, 0.0, 5e-2)):
        for parameters, optimizer in ((ours, one), (theirs, other)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            give(parameters, seed)
            optimizer.step()
    assert equal(ours, theirs)


def test_a_scale_divides_the_gradients_and_a_bad_step_is_not_counted():
    ours, one = build(ListedAdamW)
    theirs, other = build(torchs_own)
    for seed, (scale, bad) in enumerate(((1.0, 0.0), (4.0, 0.0), (2.0, 1.0), (1.0, 0.0))):
        for parameters, optimizer in ((ours, one), (theirs, other)):
            give(parameters, seed)
            optimizer.grad_scale, optimizer.found_inf = torch.tensor(scale), torch.tensor(bad)
            optimizer.step()
    assert equal(ours, theirs)
    assert equal_states(one, other)
    assert {float(kept["step"]) for kept in one.state_dict()["state"].values()} == {3.0}


@pytest.mark.parametrize("kind", [ListedAdamW, torchs_own], ids=["ours", "torch's own"])
def test_a_state_is_taken_over_from_either_and_goes_on_to_the_bit(kind):
    theirs, other = build(torchs_own)
    first, kept = build(kind)
    for seed in range(6):
        give(theirs, seed)
        other.step()
    for seed in range(3):
        give(first, seed)
        kept.step()
    ours, one = build(ListedAdamW)
    give(ours, 99)
    one.step()  # its lists are of tensors that the state then replaces
    with torch.no_grad():
        for new, old in zip(ours, first, strict=True):
            new.copy_(old)
    one.load_state_dict(copy.deepcopy(kept.state_dict()))
    for seed in range(3, 6):
        give(ours, seed)
        one.step()
    assert equal(ours, theirs)
    assert equal_states(one, other)


def test_parameters_of_two_precisions_are_left_to_torchs_own_way():
    def build_mixed(kind):
        parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))]
        return parameters, kind(parameters, **SETTINGS)

    (ours, one), (theirs, other) = build_mixed(ListedAdamW), build_mixed(torchs_own)
    for _ in range(3):
        for parameters, optimizer in ((ours, one), (theirs, other)):
            for parameter in parameters:
                parameter.grad = torch.full_like(parameter, 0.5)
            optimizer.step()
    assert equal(ours, theirs)
