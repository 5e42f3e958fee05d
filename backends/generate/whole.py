"""A whole trained model in the base model's place: copied into its weights, the base's own values kept aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from backends.contract.adapter_file import AdapterHeader
from backends.contract.base_models import find_base_model
from backends.contract.draw import LoraUse
from backends.contract.errors import DarkroomError
from backends.contract.result_file import ResultFacts, describe_misfit, describe_result, read_result
from backends.families.protocol import Drawing
from backends.generate.tensors import check_formats, identify, not_finite

FIRST = "conv_in"


class WholeWeights:
    """The weights of what predicts: the base's own, those of a file, or a point on the line between them.

    At weight 0 they are the base's to the bit, at 1 the file's. Between them each number is interpolated, which for a model trained
    from this base leads through models that draw as well (arXiv 2109.01903); beyond either end that is not known, so it is refused.
    A model that edits has a wider first layer; at 0 its second half is 0, so that the base draws from the words and sees no picture.

    Args:
        family: The loaded base model.
        base_name: What it is called, for sentences.
        base_model: How the settings name it.
    """

    def __init__(self, family: Drawing, base_name: str, base_model: str) -> None:
        self._family, self._base_name, self._base_model = family, base_name, base_model
        self._component, self._module = family.denoiser()
        self._own: dict[str, nn.Parameter] = dict(self._module.named_parameters())
        self._narrow = getattr(self._module, FIRST, None)
        self._wide: Any = None
        self._kept: dict[str, torch.Tensor] = {}
        self._active: tuple | None = None

    @property
    def edits(self) -> bool:
        """Whether what is in place sees a second picture."""
        first = getattr(self._module, FIRST, None)
        return first is not None and self._module.config.in_channels == 2 * self._module.config.out_channels

    def check(self, path: Path, header: AdapterHeader, weight: float) -> None:
        """Whether the file can stand in this base model's place, before anything is drawn.

        Raises:
            DarkroomError: When it is of another model, or the weight lies beyond 0 to 1.
        """
        facts = describe_result(header)
        check_formats(path, header)
        if self._family.quantized:
            raise DarkroomError(
                f"“{path.name}” holds all weights of a model, and {self._base_name} is stored in 4 bit for want of GPU memory. "
                "Choose a LoRA, or a GPU with more memory.",
                field="loras",
            )
        own = {name: tuple(p.shape) for name, p in self._own.items()}
        theirs = {name: tensor.shape for name, tensor in header.tensors.items()}
        first = f"{FIRST}.weight"
        if facts.kind == "edit" and first in own:
            wide = (own[first][0], 2 * self._module.config.out_channels, *own[first][2:])
            own[first] = wide
        made_from, here = find_base_model(facts.base_model), find_base_model(self._base_model)
        if own != theirs or (made_from and here and made_from != here):
            raise self._misfit(path, facts)
        if not 0 <= weight <= 1:
            raise DarkroomError(
                f"The weight of “{path.name}” is {weight:g}; a whole model goes from 0, the base model, to 1, as trained.", field="loras"
            )

    def use(self, use: LoraUse | None) -> None:
        """Puts a file's weights in place, or the base's back.

        Raises:
            DarkroomError: When the file is damaged, does not fit, or holds numbers that are not finite.
        """
        if use is None:
            self._apply(None, None, 0.0, wide=False)
            return
        path = Path(use.path)
        header, facts = read_result(path)
        self.check(path, header, use.weight)
        self._apply(path, (identify(path), use.weight), use.weight, wide=facts.kind == "edit")

    def will_widen(self, kind: str | None) -> bool:
        """Whether the first layer is about to change its width; LoRAs on it have to go before."""
        return self._narrow is not None and not self.base_edits and (kind == "edit") != self.edits

    def _apply(self, path: Path | None, state: tuple | None, weight: float, *, wide: bool) -> None:
        if state == self._active:
            return
        self._active = (object(),)  # until all is in place it is neither
        if path is not None and not self._kept:
            self._kept = {name: p.detach().to("cpu", copy=True) for name, p in self._own.items()}
        self._set_width(wide)
        targets = self._targets()
        with torch.no_grad():
            if path is None or weight == 0:
                for name, kept in self._kept.items():
                    targets[name].copy_(self._widened(name, kept, targets[name]))
            else:
                try:
                    self._copy(path, targets, weight)
                except DarkroomError:
                    self._apply(None, None, 0.0, wide=False)
                    raise
        self._active = state

    def _copy(self, path: Path, targets: dict[str, nn.Parameter], weight: float) -> None:
        """Tensor by tensor from the disk, so that memory holds no second model."""
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - this is no dictionary
                theirs = file.get_tensor(name)
                if not torch.isfinite(theirs).all():
                    raise not_finite(path)
                if weight != 1:
                    ours = self._widened(name, self._kept[name], targets[name])
                    theirs = torch.lerp(ours.float(), theirs.float(), weight)
                targets[name].copy_(theirs)

    def _targets(self) -> dict[str, nn.Parameter]:
        """Where each tensor of a file goes, at the present width."""
        first: Any = getattr(self._module, FIRST, None)
        if first is None:
            return self._own
        return {**self._own, **{f"{FIRST}.{name}": p for name, p in first.named_parameters()}}

    def _widened(self, name: str, kept: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The base's tensor at the width that is in place: a second picture counts nothing."""
        if kept.shape == target.shape:
            return kept
        wide = torch.zeros(target.shape, dtype=kept.dtype)
        wide[:, : kept.shape[1]] = kept
        return wide

    def _set_width(self, wide: bool) -> None:
        if self._narrow is None or self.base_edits or wide == self.edits:
            return
        module: Any = self._module
        if wide and self._wide is None:
            self._family.widen_input()
            self._wide = module.conv_in
        module.conv_in = self._wide if wide else self._narrow
        module.register_to_config(in_channels=module.conv_in.in_channels)

    @property
    def base_edits(self) -> bool:
        """Whether the base model itself was trained on edits, so that its first layer is wide as it came."""
        return self._narrow is not None and self._narrow.in_channels == 2 * self._module.config.out_channels

    def _misfit(self, path: Path, facts: ResultFacts) -> DarkroomError:
        return describe_misfit(path, facts, self._base_name)
