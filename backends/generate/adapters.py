"""LoRAs in and out of a loaded pipeline: tensors are copied in place where the shapes allow, and loaded afresh where not."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backends.contract.adapter_file import AdapterHeader, read_adapter_header
from backends.contract.draw import LoraUse
from backends.contract.errors import DarkroomError

log = logging.getLogger(__name__)
COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
_SIDES = (".lora_A.weight", ".lora_B.weight")
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass
class _Slot:
    """One named adapter inside the pipeline, and which file's numbers are in it."""

    name: str
    signature: tuple = ()
    identity: tuple = ()
    places: dict[str, nn.Parameter] = field(default_factory=dict)
    trains_text: bool = False


class AdapterRack:
    """The LoRAs of one pipeline. `use` makes exactly the given mix active.

    A slot whose tensors have the same names and shapes as the next file takes its numbers by one copy; the reading of
    headers, the building of layers and the renaming of keys are done once.
    """

    def __init__(self, pipeline: Any, base_name: str) -> None:
        self._pipeline, self._base_name = pipeline, base_name
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
        identity = _identity(path)
        for slot in free:
            if slot.identity == identity:
                return slot
        header = read_adapter_header(path)
        signature = _signature(header)
        for slot in free:
            if slot.signature == signature:
                self._copy(slot, path, header)
                slot.identity = identity
                return slot
        for slot in free:  # nothing fits: make room, so that memory holds no LoRA that the request does not use
            self._drop(slot)
        return self._load(path, header, signature, identity)

    def _copy(self, slot: _Slot, path: Path, header: AdapterHeader) -> None:
        slot.identity = ()  # from here until the copy is whole it holds neither
        tensors = _read_tensors(path, header)
        with torch.no_grad():
            torch._foreach_copy_([slot.places[key] for key in tensors], list(tensors.values()))

    def _load(self, path: Path, header: AdapterHeader, signature: tuple, identity: tuple) -> _Slot:
        _check_finite(path, header)
        self._count += 1
        slot = _Slot(f"studio_adapter_{self._count:04d}", signature, identity)
        self._active = None
        try:
            state, _, _ = self._pipeline.lora_state_dict(str(path), unet_config=self._pipeline.unet.config, return_lora_metadata=True)
            self._check_fits(path, header, state)
            self._pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=slot.name, local_files_only=True)
        except (ValueError, RuntimeError, KeyError, IndexError, AttributeError, NotImplementedError, TypeError) as error:
            log.warning("%s: %s", path.name, error)
            self._forget(slot)
            raise self._misfit(path, header) from None
        for component in COMPONENTS:
            getattr(self._pipeline, component).eval()  # new layers come in training mode: a LoRA trained with dropout would draw with it
        loaded = self._parameters(slot.name)
        expected = sum("lora" in key and "alpha" not in key for key in state)
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

    def _check_fits(self, path: Path, header: AdapterHeader, state: dict[str, torch.Tensor]) -> None:
        for key, tensor in state.items():
            component, _, rest = key.partition(".")
            side = next((s for s in (".lora_A.", ".lora.down.", ".lora_B.", ".lora.up.") if s in rest), None)
            if component not in COMPONENTS or side is None:
                if component == "transformer":
                    raise self._misfit(path, header)
                continue
            module = _find_module(getattr(self._pipeline, component), rest.split(side)[0])
            if module is None:
                raise self._misfit(path, header)
            inner: Any = getattr(module, "base_layer", module)
            axis = 1 if side in (".lora_A.", ".lora.down.") else 0
            if inner.weight.shape[axis] != tensor.shape[axis]:
                raise self._misfit(path, header)

    def _misfit(self, path: Path, header: AdapterHeader) -> DarkroomError:
        width = self._pipeline.unet.config.cross_attention_dim
        made_for = header.made_for
        if made_for.endswith(f"text width {width}"):
            made_for = ""
        reason = f"was made for {made_for}" if made_for else "was made for another model, or in a layout that is not known here"
        return DarkroomError(
            f"“{path.name}” {reason}; it does not fit {self._base_name}. Choose a LoRA that was trained from {self._base_name}.",
            field="loras",
        )

    def _parameters(self, name: str) -> dict[str, nn.Parameter]:
        found = {}
        for component in COMPONENTS:
            model = getattr(self._pipeline, component, None)
            if model is not None:
                found.update({f"{component}.{n}".replace(f".{name}.", "."): p for n, p in model.named_parameters() if f".{name}." in n})
        return found

    def _drop(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        self._forget(slot)

    def _forget(self, slot: _Slot) -> None:
        self._active = None
        for component in COMPONENTS:
            model = getattr(self._pipeline, component, None)
            if slot.name in getattr(model, "peft_config", {}):
                self._pipeline.delete_adapters(slot.name)
                return


def _find_module(model: nn.Module, name: str) -> nn.Module | None:
    for candidate in (name, name.removeprefix("text_model."), f"text_model.{name}"):
        try:
            return model.get_submodule(candidate)
        except AttributeError:
            continue
    return None


def _identity(path: Path) -> tuple:
    try:
        stat = os.stat(path)
    except OSError:
        raise DarkroomError(f"The LoRA “{path.name}” is not there any more.", field="loras") from None
    return (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _signature(header: AdapterHeader) -> tuple:
    """Equal for files that differ in their numbers only. Scalar alphas are numbers too, so files with them never match."""
    if not all(key.endswith(_SIDES) for key in header.tensors):
        return (object(),)
    config = header.metadata.get("lora_adapter_metadata", "")
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


def _read_tensors(path: Path, header: AdapterHeader) -> dict[str, torch.Tensor]:
    """The numbers of a file whose header was checked; each tensor is a view of one read."""
    data = bytearray(path.read_bytes())
    if len(data) != header.data_start + max(t.end for t in header.tensors.values()):
        raise DarkroomError(f"“{path.name}” changed while it was read. Try again.", field="loras")
    formats = {t.dtype for t in header.tensors.values()}
    if not formats <= _DTYPES.keys():
        raise DarkroomError(
            f"“{path.name}” holds numbers of the format {', '.join(sorted(formats))}; a LoRA needs fractions.", field="loras"
        )
    tensors = {}
    for key, place in header.tensors.items():
        count = (place.end - place.start) // _DTYPES[place.dtype].itemsize
        flat = (
            torch.frombuffer(data, dtype=_DTYPES[place.dtype], count=count, offset=header.data_start + place.start)
            if count
            else torch.empty(0)
        )
        tensors[key] = flat.view(place.shape)
    if len(formats) == 1 and all(t.numel() for t in tensors.values()):
        dtype = _DTYPES[formats.pop()]
        finite = bool(torch.isfinite(torch.frombuffer(data, dtype=dtype, offset=header.data_start)).all())
    else:
        finite = all(bool(torch.isfinite(t).all()) for t in tensors.values())
    if not finite:
        raise DarkroomError(
            f"“{path.name}” holds numbers that are not finite; its training broke. Choose an earlier checkpoint.", field="loras"
        )
    return tensors


def _check_finite(path: Path, header: AdapterHeader) -> None:
    _read_tensors(path, header)
    text = header.metadata.get("lora_adapter_metadata", "")
    try:
        json.loads(text or "{}")
    except ValueError:
        raise DarkroomError(f"“{path.name}” cannot be used as a LoRA: its notes on rank and alpha are no JSON.", field="loras") from None
