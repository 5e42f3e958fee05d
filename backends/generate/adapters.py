"""LoRAs in and out of a loaded pipeline: tensors are copied in place where the shapes allow, and loaded afresh where not."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
from peft import set_peft_model_state_dict
from torch import nn

from backends.contract.adapter_file import AdapterHeader
from backends.contract.draw import LoraUse
from backends.contract.errors import DarkroomError
from backends.contract.result_file import describe_misfit, describe_result, read_result
from backends.generate.tensors import Identity, identify, read_tensors

log = logging.getLogger(__name__)
PEFT_NOTES, LORA_NOTES = "peft_adapter_metadata", "lora_adapter_metadata"
_COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
_SIDES = {
    ".lora_A.": 1, ".lora.down.": 1, ".lora_B.": 0, ".lora.up.": 0, ".lora_magnitude": None, ".hada_": None, ".lokr_": None
}  # fmt: skip
"""What stands behind a module's name, and the axis of its weight that the factor must have as its own; None is compared on loading."""
_OLD_ATTENTION = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")
_FACTORS = (".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector")
_FAILURES = (ValueError, RuntimeError, KeyError, IndexError, AttributeError, NotImplementedError, TypeError, AssertionError)
"""What diffusers and peft raise for files that do not fit; each becomes one sentence."""


@dataclass
class _Slot:
    """One named adapter inside the pipeline, and which file's numbers are in it."""

    name: str
    signature: tuple = ()
    identity: Identity | None = None
    places: dict[str, nn.Parameter] = field(default_factory=dict)
    trains_text: bool = False


class AdapterRack:
    """The LoRAs of one pipeline. `use` makes exactly the given mix active.

    A slot whose tensors have the same names and shapes as the next file takes its numbers by one copy; the reading of
    headers, the building of layers and the renaming of keys are done once.

    Args:
        pipeline: Of diffusers.
        base_name: The base model, for sentences.
        components: Names of the modules that LoRAs may change.
    """

    def __init__(self, pipeline: Any, base_name: str, components: tuple[str, ...]) -> None:
        self._pipeline, self._base_name, self._components = pipeline, base_name, components
        self._slots: list[_Slot] = []
        self._active: tuple | None = ()
        self._count = 0

    def use(self, loras: tuple[LoraUse, ...] | list[LoraUse]) -> tuple:
        """Activates the mix, in the order given; weight 0 leaves a LoRA out, so that nothing at all is added.

        Returns:
            What decides the prompt embeddings: the files and weights of those LoRAs that change a text encoder.

        Raises:
            DarkroomError: When a file is no LoRA, is damaged, or was made for another model.
        """
        wanted = [lora for lora in loras if lora.weight != 0]
        taken: list[_Slot] = []
        for lora in wanted:
            taken.append(self._fill(Path(lora.path), taken))
        active = tuple((slot.name, lora.weight) for slot, lora in zip(taken, wanted, strict=True))
        if active != self._active:
            self._activate(active)
        return tuple((slot.identity, lora.weight) for slot, lora in zip(taken, wanted, strict=True) if slot.trains_text)

    def check(self, path: Path, header: AdapterHeader) -> None:
        """Whether the file fits, before anything is drawn; its numbers are read only where its keys are of another program.

        Raises:
            DarkroomError: When it does not.
        """
        if any(slot.signature and slot.signature == _signature(header) for slot in self._slots):
            return
        own = all(key.partition(".")[0] in self._components for key in header.tensors)
        shapes = {key: tensor.shape for key, tensor in header.tensors.items()} if own else self._foreign_shapes(path, header)
        self._check_shapes(path, header, shapes)

    def clear(self) -> None:
        """Takes every LoRA and every layer that carried one out, so that the modules are as they came."""
        if self._slots:
            self._slots = []
            self._pipeline.unload_lora_weights()
        self._active = ()

    def _activate(self, active: tuple) -> None:
        self._active = None
        if active:
            self._pipeline.enable_lora()
            self._pipeline.set_adapters([name for name, _ in active], [weight for _, weight in active])
        elif self._slots:
            self._pipeline.disable_lora()
        self._active = active

    def _fill(self, path: Path, taken: list[_Slot]) -> _Slot:
        """A slot that holds the file: as it is, by a copy, or loaded anew."""
        free = [slot for slot in self._slots if slot not in taken]
        identity = identify(path)
        for slot in free:
            if slot.identity == identity:
                return slot
        header, _ = read_result(path)
        signature = _signature(header)
        for slot in free:
            if slot.signature == signature:
                slot.identity = None  # from here until the copy is whole it holds neither
                _copy(slot, read_tensors(path, header))
                slot.identity = identity
                return slot
        if not taken:
            self.clear()
        for slot in free if taken else ():  # nothing fits: make room, so that memory holds no LoRA that the request does not use
            self._slots.remove(slot)
            self._forget(slot)
        return self._load(path, header, signature, identity)

    def _load(self, path: Path, header: AdapterHeader, signature: tuple, identity: Identity) -> _Slot:
        tensors = read_tensors(path, header)
        _check_notes(path, header)
        self._count += 1
        slot = _Slot(f"studio_adapter_{self._count:04d}", signature, identity)
        self._active = None
        self.check(path, header)
        try:
            expected = (
                self._load_by_peft(header, tensors, slot.name)
                if PEFT_NOTES in header.metadata
                else self._load_by_diffusers(path, slot.name)
            )
        except _FAILURES as error:
            log.warning("%s: %s", path.name, error)
            self._forget(slot)
            raise self._misfit(path, header) from None
        for component in self._components:
            getattr(self._pipeline, component).eval()  # new layers come in training mode: a LoRA trained with dropout would draw with it
        loaded = self._parameters(slot.name)
        if len(loaded) != expected:
            self._forget(slot)
            raise DarkroomError(
                f"Only {len(loaded)} of the {expected} tensors of “{path.name}” fit {self._base_name}, so it would not draw "
                "what it learnt. Choose a LoRA that was trained from this base model.",
                field="loras",
            )
        slot.trains_text = any(key.startswith("text_encoder") for key in loaded)
        slot.places = _map_places(header, loaded)
        if not slot.places:
            slot.signature = ()  # another layout: right, but loaded anew each time
        self._slots.append(slot)
        return slot

    def _load_by_diffusers(self, path: Path, name: str) -> int:
        """Loads what diffusers reads; the number of tensors that must have arrived."""
        state = self._convert(path)
        self._pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name, local_files_only=True)
        return sum("lora" in key and "alpha" not in key for key in state)

    def _load_by_peft(self, header: AdapterHeader, tensors: dict[str, torch.Tensor], name: str) -> int:
        """Loads a LoHa or LoKr as the trainer wrote it, with peft's own settings beside peft's own names."""
        settings = json.loads(header.metadata[PEFT_NOTES])
        for component in self._components:
            own = {key.removeprefix(f"{component}."): t for key, t in tensors.items() if key.startswith(f"{component}.")}
            if own:
                module = getattr(self._pipeline, component)
                module.add_adapter(_peft_config(settings, component), adapter_name=name)
                set_peft_model_state_dict(module, own, adapter_name=name)
                for parameter in self._parameters(name).values():
                    parameter.data = parameter.data.to(module.device, module.dtype)
        return len(tensors)

    def _convert(self, path: Path) -> dict[str, torch.Tensor]:
        """The file's tensors under diffusers' names, whichever program wrote them."""
        options = {"unet_config": self._pipeline.unet.config} if "unet" in self._components else {}
        return self._pipeline.lora_state_dict(str(path), return_lora_metadata=True, **options)[0]

    def _foreign_shapes(self, path: Path, header: AdapterHeader) -> dict[str, tuple[int, ...]]:
        try:
            return {key: tuple(tensor.shape) for key, tensor in self._convert(path).items()}
        except _FAILURES as error:
            log.warning("%s: %s", path.name, error)
            raise self._misfit(path, header) from None

    def _check_shapes(self, path: Path, header: AdapterHeader, shapes: dict[str, tuple[int, ...]]) -> None:
        """Every factor has its module, with the right number of inputs or outputs."""
        if not any(key.partition(".")[0] in self._components for key in shapes):
            raise self._misfit(path, header)
        for key, shape in shapes.items():
            component, _, rest = _modernise(key).partition(".")
            side = next((s for s in _SIDES if s in rest), "")
            if component not in self._components and component in _COMPONENTS:
                raise self._misfit(path, header)
            if component not in self._components or not side:
                continue
            module: Any = _find_module(getattr(self._pipeline, component), rest.split(side)[0])
            if module is None:
                raise self._misfit(path, header)
            axis = _SIDES[side]
            if axis is not None and (len(shape) < 2 or _count_sides(module)[axis] != shape[axis]):
                raise self._misfit(path, header)

    def _misfit(self, path: Path, header: AdapterHeader) -> DarkroomError:
        foreign = any(".hada_w" in key or ".lokr_w" in key for key in header.tensors) and PEFT_NOTES not in header.metadata
        unread = "is a LoHa or LoKr in the layout of another program, which is not read here" if foreign else ""
        return describe_misfit(path, describe_result(header), self._base_name, unread=unread)

    def _parameters(self, name: str) -> dict[str, nn.Parameter]:
        """An adapter's parameters by the names of its file, however many layers are wrapped around each other."""
        found = {}
        for component in self._components:
            for full, parameter in getattr(self._pipeline, component).named_parameters():
                parts = full.split(".")
                if name in parts:
                    kept = ".".join(part for part in parts if part not in (name, "base_layer"))
                    found[f"{component}.{kept}".replace(".lora_magnitude_vector.weight", ".lora_magnitude_vector")] = parameter
        return found

    def _forget(self, slot: _Slot) -> None:
        self._active = None
        for component in self._components:
            if slot.name in getattr(getattr(self._pipeline, component), "peft_config", {}):
                self._pipeline.delete_adapters(slot.name)
                return


def _copy(slot: _Slot, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        torch._foreach_copy_([slot.places[key] for key in tensors], list(tensors.values()))


def _peft_config(settings: dict[str, Any], component: str) -> Any:
    """Peft's settings of one component, as the trainer packed them."""
    own = {key.removeprefix(f"{component}."): value for key, value in settings.items() if key.startswith(f"{component}.")}
    kind = {"LOHA": peft.LoHaConfig, "LOKR": peft.LoKrConfig}[str(own.pop("peft_type", "")).removeprefix("PeftType.")]
    known = {name for name, place in kind.__dataclass_fields__.items() if place.init}
    return kind(**{key: value for key, value in own.items() if key in known} | {"module_dropout": 0.0})


def _modernise(key: str) -> str:
    """The names that diffusers gives the attention of a converted file, as they stand in the modules."""
    found = _OLD_ATTENTION.fullmatch(key)
    if not found:
        return key
    before, name, side = found.groups()
    text = before.startswith("text_encoder")
    own = {"out": "out_proj" if text else "to_out.0"}.get(name, f"{name}_proj" if text else f"to_{name}")
    return f"{before}.{own}.lora.{side}.weight"


def _find_module(model: nn.Module, name: str) -> nn.Module | None:
    for candidate in (name, name.removeprefix("text_model."), f"text_model.{name}"):
        try:
            return model.get_submodule(candidate)
        except AttributeError:
            continue
    return None


def _count_sides(module: Any) -> tuple[int, int]:
    """Outputs and inputs of a layer, as they are before anything packs or wraps its weight."""
    inner = module.get_base_layer() if hasattr(module, "get_base_layer") else module
    if hasattr(inner, "in_features"):
        return inner.out_features, inner.in_features
    return inner.weight.shape[0], inner.weight.shape[1]


def _signature(header: AdapterHeader) -> tuple:
    """Equal for files that differ in their numbers only. Scalar alphas are numbers too, so files with them never match."""
    notes = header.metadata
    if PEFT_NOTES not in notes and not all(key.endswith(_FACTORS) for key in header.tensors):
        return (object(),)
    config = notes.get(PEFT_NOTES, notes.get(LORA_NOTES, ""))
    return (config, tuple(sorted((key, tensor.shape) for key, tensor in header.tensors.items())))


def _map_places(header: AdapterHeader, loaded: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """File key -> parameter, complete and of equal shape, or empty."""
    places = {}
    for key, tensor in header.tensors.items():
        names = (key, key.replace(".text_model.", ".", 1), key.replace(".", ".text_model.", 1))
        parameter = next((loaded[n] for n in names if n in loaded), None)
        if parameter is None or tuple(parameter.shape) != tensor.shape:
            return {}
        places[key] = parameter
    return places


def _check_notes(path: Path, header: AdapterHeader) -> None:
    for key in (LORA_NOTES, PEFT_NOTES):
        try:
            json.loads(header.metadata.get(key) or "{}")
        except ValueError:
            raise DarkroomError(
                f"“{path.name}” cannot be used as a LoRA: its notes on rank and alpha are no JSON.", field="loras"
            ) from None
