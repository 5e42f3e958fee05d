"""What is trained, as the loop sees it: adapters beside a frozen model, or all weights of what predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from backends.contract.errors import DarkroomError
from backends.engine.pieces import cut, gather, name_pieces


class Trained(Protocol):
    """The weights that a run changes."""

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        """The modules that hold them, by component name."""

    @property
    def file_name(self) -> str:
        """What its file is called in a checkpoint."""

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Everything that is trained, by a name that is the same in every run."""

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters in a fixed order."""

    def train(self) -> None:
        """Ready for steps."""

    def eval(self) -> None:
        """Ready to be judged, drawn with and saved."""

    def after_update(self, step: int) -> None:
        """Called after the update of `step`, counted from 0."""

    def state(self) -> dict[str, torch.Tensor]:
        """What a person uses, on the CPU, under the names of its file; of a divided model all ranks must ask, and rank 0 gets it."""

    def live_state(self) -> dict[str, torch.Tensor]:
        """What going on needs beside `state`, likewise."""

    def load_state(self, state: dict[str, torch.Tensor], live: dict[str, torch.Tensor]) -> None:
        """Puts both back.

        Raises:
            DarkroomError: When they do not fit.
        """

    def notes(self) -> dict[str, str]:
        """What its file's header says of it."""


class WholeModule:
    """All weights of one module, in float32; where they are divided over the ranks, they must be by now."""

    def __init__(self, component: str, module: torch.nn.Module) -> None:
        self._component, self._module = component, module.float().requires_grad_(True)
        self._parameters = name_pieces(self._module)

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        """The module by its component name."""
        return {self._component: self._module}

    @property
    def file_name(self) -> str:
        """Named after the component."""
        return f"{self._component}.safetensors"

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """All parameters."""
        return {f"{self._component}.{name}": parameter for name, parameter in self._parameters.items()}

    def parameters(self) -> list[torch.nn.Parameter]:
        """All parameters in a fixed order."""
        return list(self._parameters.values())

    def train(self) -> None:
        """Dropout on, where the model has any."""
        if not self._module.training:
            self._module.train()

    def eval(self) -> None:
        """Dropout off."""
        if self._module.training:
            self._module.eval()

    def after_update(self, step: int) -> None:
        """Nothing: what is trained is what is used."""

    def state(self) -> dict[str, torch.Tensor]:
        """The weights under diffusers' names, as in the model's own file."""
        return gather(self._own(), self._parameters)

    def live_state(self) -> dict[str, torch.Tensor]:
        """Nothing more than `state` is needed to go on."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor], live: dict[str, torch.Tensor]) -> None:
        """Puts weights written by `state` back.

        Raises:
            DarkroomError: When they belong to a model of another shape.
        """
        if {k: v.shape for k, v in self._module.state_dict().items()} != {k: v.shape for k, v in state.items()}:
            raise DarkroomError(
                "The checkpoint's weights are those of another model than the base of these settings. Resume with the run's own."
            )
        with torch.no_grad():
            for name, tensor in self._own().items():
                tensor.copy_(cut(state[name], tensor))

    def notes(self) -> dict[str, str]:
        """Which part of the model it is."""
        return {"darkroom.component": self._component}

    def _own(self) -> dict[str, torch.Tensor]:
        """What this rank has of each tensor of the module's file."""
        return {name: self._parameters.get(name, tensor) for name, tensor in self._module.state_dict().items()}


class Averaged:
    """Weights of which a person uses other values than those that are trained: an average, exchanged in place.

    Args:
        trained: What is trained.
        published: The values to use, tensor by tensor, in the order of the parameters.
        follow: Called after each update with its step; keeps the average up to date.
    """

    def __init__(self, trained: Trained, published: Callable[[], list[torch.Tensor]], follow: Callable[[int], None]) -> None:
        self._trained, self._published, self._follow = trained, published, follow
        self._parameters = trained.parameters()
        self._aside: list[torch.Tensor] | None = None

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        """Those of what is trained."""
        return self._trained.modules

    @property
    def file_name(self) -> str:
        """That of what is trained."""
        return self._trained.file_name

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Those of what is trained."""
        return self._trained.named_parameters()

    def parameters(self) -> list[torch.nn.Parameter]:
        """Those of what is trained."""
        return self._trained.parameters()

    def train(self) -> None:
        """The trained values in their place."""
        if self._aside is not None:
            _exchange(self._parameters, self._aside)
            self._aside = None
        self._trained.train()

    def eval(self) -> None:
        """The average in the place of the trained values, which wait aside, bit for bit."""
        self._trained.eval()
        if self._aside is None:
            self._aside = self._published()
            _exchange(self._parameters, self._aside)

    def after_update(self, step: int) -> None:
        """The average follows."""
        self._follow(step)

    def state(self) -> dict[str, torch.Tensor]:
        """The average."""
        was_training = self._aside is None
        self.eval()
        found = {name: tensor.clone() for name, tensor in self._trained.state().items()}
        if was_training:
            self.train()
        return found

    def live_state(self) -> dict[str, torch.Tensor]:
        """The trained values by the names of their parameters."""
        live = self._parameters if self._aside is None else self._aside
        named = {f"live/{name}": parameter for name, parameter in self.named_parameters().items()}
        return gather(dict(zip(named, live, strict=True)), named)

    def load_state(self, state: dict[str, torch.Tensor], live: dict[str, torch.Tensor]) -> None:
        """Both back to where they were.

        Raises:
            DarkroomError: When they do not fit, or the checkpoint was made without an average.
        """
        if not live:
            raise DarkroomError(
                "The checkpoint has no average of the weights, because its run kept none. Resume with the run's own settings."
            )
        self._trained.load_state(state, {})
        with torch.no_grad():
            for average, parameter in zip(self._published(), self._parameters, strict=True):
                average.copy_(parameter)
            for name, parameter in self.named_parameters().items():
                parameter.copy_(cut(live[f"live/{name}"], parameter))

    def notes(self) -> dict[str, str]:
        """Those of what is trained."""
        return self._trained.notes()


class MovingAverage:
    """Exponential moving average of weights, faster at the start: min(decay, (1 + step) / (10 + step)), as TensorFlow has it.

    It begins with the weights after the first update, as that of the diffusers scripts.
    """

    def __init__(self, parameters: list[torch.nn.Parameter], decay: float) -> None:
        self._parameters, self._decay = parameters, decay
        self._shadow = [p.detach().clone() for p in parameters]

    def values(self) -> list[torch.Tensor]:
        """The average, tensor by tensor; the very tensors, so that they can be exchanged without a copy."""
        return self._shadow

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """A little nearer to the weights after the update of `step`."""
        decay = min(self._decay, (1 + step) / (10 + step)) if step else 0.0
        torch._foreach_lerp_(self._shadow, list[torch.Tensor](self._parameters), 1 - decay)


@torch.no_grad()
def _exchange(parameters: list[torch.nn.Parameter], others: list[torch.Tensor]) -> None:
    for parameter, other in zip(parameters, others, strict=True):
        kept = parameter.detach().clone()
        parameter.copy_(other)
        other.copy_(kept)
