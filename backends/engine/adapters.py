"""LoRA adapters: added to the frozen modules, read and written as one flat set of tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict

from backends.contract.chance import mix_seed
from backends.contract.errors import DarkroomError
from backends.contract.rundir import LORA

ADAPTER_NAME = "default"


@dataclass(frozen=True)
class AdapterShape:
    """What decides the tensors of an adapter. `variant` is lora, dora, rslora, loha or lokr; strength is alpha / rank
    (rslora: alpha / sqrt(rank)); `dropout` the share of each layer's input that is left out at random.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    variant: str = "lora"


class Adapters:
    """The LoRA layers of one run, over one or several modules.

    Args:
        targets: Component name -> (module, target modules).
        shape: Of every layer.
        seed: Their first values depend on nothing else.
    """

    def __init__(self, targets: dict[str, tuple[torch.nn.Module, Any]], shape: AdapterShape, *, seed: int) -> None:
        self._shape = shape
        self._modules: dict[str, Any] = {name: module for name, (module, _) in targets.items()}
        torch.manual_seed(mix_seed(seed, "adapters"))
        for name, (_, wanted) in targets.items():
            self._modules[name].add_adapter(build_peft_config(shape, wanted), adapter_name=ADAPTER_NAME)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        """The adapted modules by component name."""
        return self._modules

    @property
    def file_name(self) -> str:
        """What its file is called in a checkpoint."""
        return LORA

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Everything that is trained, by a name that is the same in every run."""
        return {
            f"{component}.{name}": parameter
            for component, module in self._modules.items()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters in a fixed order."""
        return list(self.named_parameters().values())

    def train(self) -> None:
        """LoRA dropout on."""
        for module in self._modules.values():
            if not module.training:  # walking all layers costs as much as a third of a small model's step
                module.train()

    def eval(self) -> None:
        """LoRA dropout off."""
        for module in self._modules.values():
            if module.training:
                module.eval()

    def after_update(self, step: int) -> None:
        """Nothing: what is trained is what is used."""

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors in the diffusers layout, on the CPU: peft's own names behind the component's.

        They stay unconverted: the conversion for older diffusers mixes two styles in one file, and a loader then
        drops every attention layer with a warning only.
        """
        return {
            f"{component}.{key}": tensor.detach().cpu().contiguous()
            for component, module in self._modules.items()
            for key, tensor in get_peft_model_state_dict(module, adapter_name=ADAPTER_NAME).items()
        }

    def live_state(self) -> dict[str, torch.Tensor]:
        """Nothing more than `state` is needed to go on."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor], live: dict[str, torch.Tensor]) -> None:
        """Puts tensors written by `state` back.

        Raises:
            DarkroomError: When they belong to other layers or another rank.
        """
        expected = {key: tuple(t.shape) for key, t in self.state().items()}
        if expected != {key: tuple(t.shape) for key, t in state.items()}:
            raise DarkroomError(
                "The checkpoint's LoRA has other layers or another rank than these settings. Resume with the run's own settings."
            )
        for component, module in self._modules.items():
            own = {key.removeprefix(f"{component}."): t for key, t in state.items() if key.startswith(f"{component}.")}
            set_peft_model_state_dict(module, own, adapter_name=ADAPTER_NAME)

    def notes(self) -> dict[str, str]:
        """What its file's header says of it: for diffusers, and for the programs that read kohya's keys."""
        packed: dict[str, Any] = {}
        for component, module in self._modules.items():
            packed |= {f"{component}.{key}": value for key, value in module.peft_config[ADAPTER_NAME].to_dict().items()}
            if f"{component}.lora_dropout" in packed:
                # diffusers leaves a loaded UNet adapter in training mode: it would drop out while drawing
                packed[f"{component}.lora_dropout"] = 0.0
        text = json.dumps({k: sorted(v) if isinstance(v, set) else v for k, v in packed.items()}, indent=2, sort_keys=True)
        lycoris = self._shape.variant in LYCORIS
        return {
            "peft_adapter_metadata" if lycoris else "lora_adapter_metadata": text,
            "ss_network_module": "lycoris.kohya" if lycoris else "networks.lora",
            "ss_network_dim": str(self._shape.rank),
            "ss_network_alpha": f"{self._shape.alpha:g}",
        }


LYCORIS = ("loha", "lokr")


def build_peft_config(shape: AdapterShape, targets: Any) -> PeftConfig:
    """Peft's settings: LoRA (arXiv 2106.09685), DoRA (2402.09353), rsLoRA (2312.03732), LoHa (2108.06098), LoKr (2309.14859)."""
    if shape.variant in LYCORIS:
        kind = LoHaConfig if shape.variant == "loha" else LoKrConfig
        # their alpha is a whole number by its type and a plain factor by its use
        return kind(r=shape.rank, alpha=shape.alpha, module_dropout=shape.dropout, target_modules=targets)
    return LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        target_modules=targets,
        init_lora_weights="gaussian",
        use_dora=shape.variant == "dora",
        use_rslora=shape.variant == "rslora",
    )
