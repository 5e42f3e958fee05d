"""The averages that a person uses in place of the trained weights, against those who defined them."""

from __future__ import annotations

import pytest
import torch
from diffusers.training_utils import EMAModel

from backends.engine.optimizers import OptimizerPlan, average_of, build_optimizer
from backends.engine.trained import Averaged, MovingAverage, WholeModule


def wander(module: torch.nn.Module, step: int) -> None:
    """Other weights, as an update would make them."""
    random = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random))


@pytest.mark.parametrize("decay", [0.5, 0.9999])
def test_the_moving_average_is_that_of_the_diffusers_scripts(decay):
    module = torch.nn.Linear(3, 4)
    ours, theirs = MovingAverage(list(module.parameters()), decay), EMAModel(module.parameters(), decay=decay)
    for step in range(30):
        wander(module, step)
        ours.follow(step)
        theirs.step(module.parameters())
        for mine, shadow in zip(ours.values(), theirs.shadow_params, strict=True):
            torch.testing.assert_close(mine, shadow, rtol=1e-5, atol=1e-6)


def test_the_average_of_schedule_free_is_what_its_own_eval_gives():
    module = torch.nn.Linear(3, 4)
    parameters = list(module.parameters())
    plan = OptimizerPlan(learning_rate=0.1, betas=(0.9, 0.999), weight_decay=0.01, epsilon=1e-8, kind="schedule_free")
    optimizer = build_optimizer(parameters, plan)
    for step in range(10):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step))
        optimizer.step()
    found, trained = average_of(optimizer, parameters), [p.detach().clone() for p in parameters]
    optimizer.eval()
    for mine, theirs, before in zip(found, parameters, trained, strict=True):
        torch.testing.assert_close(mine, theirs.detach())
        assert (mine - before).abs().max() > 1e-3


def test_judging_saving_and_going_on_leave_the_trained_values_bit_for_bit():
    module = torch.nn.Linear(3, 4)
    whole = WholeModule("unet", module)
    average = MovingAverage(whole.parameters(), 0.9)
    trained = Averaged(whole, average.values, average.follow)
    trained.train()
    wander(module, 1)
    trained.after_update(5)
    before, published = [p.detach().clone() for p in module.parameters()], [t.clone() for t in average.values()]
    state = trained.state()
    assert all(torch.equal(a, b) for a, b in zip(state.values(), published, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))
    trained.eval()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), published, strict=True))
    live = trained.live_state()
    assert all(torch.equal(a, b) for a, b in zip(live.values(), before, strict=True))
    trained.eval()
    trained.train()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(average.values(), published, strict=True))
