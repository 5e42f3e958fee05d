"""LoRA adapters: added to the frozen modules, read and written as one flat set of tensors."""

from __future__ import annotations

import json
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict

from backends.contract.errors import DarkroomError
from backends.engine.seeds import mix_seed

ADAPTER_NAME = "default"


class Adapters:
    """The LoRA layers of one run, over one or several modules.

    Args:
        targets: Component name -> (module, target modules).
        rank: Rank of every layer.
        alpha: Strength is alpha / rank.
        dropout: Share of the layer's input that is left out at random.
        seed: Their first values depend on nothing else.
    """

    def __init__(self, targets: dict[str, tuple[torch.nn.Module, Any]], *, rank: int, alpha: float, dropout: float, seed: int) -> None:
        self._modules: dict[str, Any] = {name: module for name, (module, _) in targets.items()}
        torch.manual_seed(mix_seed(seed, "adapters"))
        for name, (_, wanted) in targets.items():
            config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=wanted, init_lora_weights="gaussian")
            self._modules[name].add_adapter(config, adapter_name=ADAPTER_NAME)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        """The adapted modules by component name."""
        return self._modules

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

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
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

    def header(self) -> str:
        """The value of `lora_adapter_metadata`, from which diffusers reads rank and alpha."""
        packed: dict[str, Any] = {}
        for component, module in self._modules.items():
            packed |= {f"{component}.{key}": value for key, value in module.peft_config[ADAPTER_NAME].to_dict().items()}
            packed[f"{component}.lora_dropout"] = (
                0.0  # diffusers leaves a loaded UNet adapter in training mode: it would drop out while drawing
            )
        return json.dumps({k: sorted(v) if isinstance(v, set) else v for k, v in packed.items()}, indent=2, sort_keys=True)
