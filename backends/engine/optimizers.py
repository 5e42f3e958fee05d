"""Optimizer, learning-rate curve, and the update that leaves a step out when its gradient is not a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.optimization import get_scheduler

from backends.contract.errors import DarkroomError
from backends.engine.adamw import ListedAdamW
from backends.engine.pieces import compute_norm, cut, find_pieces, gather, hand_gradients

CLIP_EPSILON = 1e-6  # as torch.nn.utils.clip_grad_norm_ has it


@dataclass(frozen=True)
class OptimizerPlan:
    """How gradients become steps. `kind` is AdamW, prodigy or schedule_free; `prodigy` has its own settings."""

    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    epsilon: float
    kind: str = "AdamW"
    eight_bit: bool = False
    prodigy: dict[str, Any] = field(default_factory=dict)


def build_groups(named: dict[str, torch.nn.Parameter], shares: dict[str, float]) -> list[dict[str, Any]]:
    """Parameters by the share of the learning rate that they get; `shares` has it by the start of a name, 1 for all others."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in named.items():
        share = next((value for start, value in shares.items() if name.startswith(start)), 1.0)
        groups.setdefault(share, []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in groups.items()]


def build_optimizer(groups: Any, plan: OptimizerPlan) -> torch.optim.Optimizer:
    """Fused AdamW (0.86 x the step of the plain one on a CPU), bitsandbytes' 8-bit AdamW, Prodigy, or schedule-free AdamW.

    Args:
        groups: Parameters, or groups of them with `share`, the factor on their learning rate.
        plan: What the settings say.

    Raises:
        DarkroomError: When 8-bit Adam is asked for and bitsandbytes is not installed.
    """
    settings: dict[str, Any] = {"lr": plan.learning_rate, "betas": plan.betas, "weight_decay": plan.weight_decay, "eps": plan.epsilon}
    if plan.kind == "prodigy":
        from prodigyopt import Prodigy

        return Prodigy(groups, **settings, **plan.prodigy)
    if plan.kind == "schedule_free":
        from schedulefree import AdamWScheduleFree

        optimizer = AdamWScheduleFree(groups, **settings)
        optimizer.train()  # its average is read by `average_of`, never exchanged by itself
        return optimizer
    if not plan.eight_bit:
        return ListedAdamW(groups, **settings)
    try:
        import bitsandbytes
    except ImportError:
        raise DarkroomError(
            "8-bit Adam is on, but bitsandbytes is not installed. Install it with: pip install bitsandbytes. Or switch 8-bit Adam off.",
            field="use_8bit_adam",
        ) from None
    return bitsandbytes.optim.AdamW8bit(groups, **settings)


def average_of(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The average that schedule-free AdamW stands for, x = y + (z - y) (1 - 1 / beta1) (arXiv 2405.15682, eq. 2 to 4)."""
    beta1 = optimizer.param_groups[0]["betas"][0]
    found = []
    for parameter in parameters:
        trained = parameter.detach().clone()
        z = optimizer.state[parameter].get("z")
        found.append(trained if z is None else trained.lerp_(z, 1 - 1 / beta1))
    return found


def build_lr_curve(
    name: str, *, warmup_steps: int, total_steps: int, cycles: int = 1, power: float = 1.0, peak: float = 1.0
) -> Callable[[int], float]:
    """The learning rate as a function of the step, by diffusers' names and formulas.

    As there, `constant` knows no warm-up, and a warm-up begins at 0.
    """
    anchor = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = get_scheduler(name, anchor, num_warmup_steps=warmup_steps, num_training_steps=total_steps, num_cycles=cycles, power=power)
    factor = scheduler.lr_lambdas[0]
    return lambda step: peak * float(factor(step))


class Updater:
    """Applies gradients: unscaled, cut to a norm, and not at all when they are not finite.

    On a GPU nothing here waits for the device: whether a gradient is finite stays a tensor that the fused optimizer reads.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, curve: Callable[[int], float], max_norm: float, scaler: torch.amp.GradScaler | None
    ) -> None:
        self.optimizer, self.curve, self.scaler = optimizer, curve, scaler
        self._max_norm = max_norm
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._pieces = find_pieces(self._parameters)
        self._fused = bool(optimizer.defaults.get("fused"))
        self._started = [_numbers_of(group) for group in optimizer.param_groups]
        self._rates: list[float] = []

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of the loss, scaled for fp16 where needed."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def update(self, step: int) -> None:
        """One update with the learning rate of `step` (counted from 0); the gradients are gone after it."""
        rate = self.curve(step)
        self._rates.append(rate * self.optimizer.param_groups[0].get("d", 1.0))  # Prodigy's distance, by which it takes the rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        hand_gradients(self._pieces)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = compute_norm(gradients, divided=bool(self._pieces))
        if self._fused and self.scaler is None:
            self._apply_fused(norm)
        else:
            if self._max_norm > 0:
                torch._foreach_mul_(gradients, (self._max_norm / (norm + CLIP_EPSILON)).clamp(max=1.0))
            self._apply(norm)
        self.optimizer.zero_grad(set_to_none=True)

    def take_rates(self) -> list[float]:
        """The learning rate that each update since the last call really had, the newest last."""
        taken, self._rates = self._rates, []
        return taken

    def _apply_fused(self, norm: torch.Tensor) -> None:
        """The fused kernel divides the gradients by one number and skips the update where the other is 1, in one pass.

        GradScaler hands its own numbers over in the same way. On a CPU looking costs nothing: there a gradient that is short enough is
        not divided by 1, because the kernel would write every number of it back, and what is not finite does not come as far.
        """
        optimizer: Any = self.optimizer
        scale = ((norm + CLIP_EPSILON) / self._max_norm).clamp(min=1.0) if self._max_norm > 0 else None
        if norm.device.type == "cpu":
            if not math.isfinite(norm.item()):
                return
            optimizer.grad_scale = scale if scale is not None and scale.item() > 1.0 else None
        else:
            optimizer.grad_scale = scale
            optimizer.found_inf = (~torch.isfinite(norm)).float()
        optimizer.step()

    def _apply(self, norm: torch.Tensor) -> None:
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif torch.isfinite(norm).item():
            self.optimizer.step()

    def state(self, named: dict[str, torch.nn.Parameter]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """(tensors, plain values) from which `load_state` restores everything, by the names of the parameters.

        Of a divided model all ranks must ask, and rank 0 gets it.
        """
        names = self._order_names(named)
        tensors: dict[str, torch.Tensor] = {}
        belonging: dict[str, torch.nn.Parameter] = {}
        values: dict[str, Any] = {}
        for number, kept in self.optimizer.state_dict()["state"].items():
            for key, value in kept.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{names[number]}/{key}"], belonging[f"{names[number]}/{key}"] = value, self._parameters[number]
                else:
                    values[f"{names[number]}/{key}"] = value
        return gather(tensors, belonging), {
            "values": values,
            "groups": self._changed_numbers(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
        }

    def load_state(self, named: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
        """Restores what `state` gave."""
        numbers = {name: i for i, name in enumerate(self._order_names(named))}
        state: dict[int, dict[str, Any]] = {}
        for key, value in {**tensors, **plain["values"]}.items():
            name, _, part = key.rpartition("/")
            state.setdefault(numbers[name], {})[part] = cut(value, named[name]) if isinstance(value, torch.Tensor) else value
        groups = self.optimizer.state_dict()["param_groups"]
        for group, kept in zip(groups, plain.get("groups") or [{}] * len(groups), strict=True):
            group |= kept
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.scaler is not None and plain["scaler"]:
            self.scaler.load_state_dict(plain["scaler"])

    def _order_names(self, named: dict[str, torch.nn.Parameter]) -> list[str]:
        """Names in the optimizer's own order, which is that of its groups."""
        by_id = {id(parameter): name for name, parameter in named.items()}
        return [by_id[id(parameter)] for parameter in self._parameters]

    def _changed_numbers(self) -> list[dict[str, Any]]:
        """What an optimizer counts in its groups (Prodigy its distance, schedule-free its weights), and only that."""
        now = [_numbers_of(group) for group in self.optimizer.param_groups]
        return [{k: v for k, v in new.items() if old.get(k) != v} for old, new in zip(self._started, now, strict=True)]


def _numbers_of(group: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in ("params", "lr", "share") and isinstance(v, int | float)}
