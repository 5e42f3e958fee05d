"""What a LoRA file says about itself, read from its header alone and checked before anything is loaded. Torch-free.

Layout of the format: 8 bytes little-endian length N, N bytes of JSON (name -> dtype, shape, data_offsets), then the data.
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract.errors import DarkroomError

MAX_HEADER = 8_000_000
MAX_TENSORS = 20_000
MAX_SIDE = 1_000_000
DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_FAMILY_BY_WIDTH = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}
_DOWN = re.compile(r"(\.lora_A\.weight|\.lora_down\.weight|\.lora\.down\.weight|_lora\.down\.weight)$")


@dataclass(frozen=True)
class Tensor:
    """One tensor's place in the file; `start` and `end` count from the first data byte."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class AdapterHeader:
    """What the header of a LoRA file says.

    `data_start` is the offset of the first data byte in the file.
    """

    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    data_start: int

    @property
    def rank(self) -> int:
        """The largest rank of its modules; 0 when it has none."""
        return max((t.shape[0] for n, t in self.tensors.items() if _DOWN.search(n) and t.shape), default=0)

    @property
    def made_for(self) -> str:
        """The model family that its keys and shapes speak of, or an empty text where they do not tell."""
        names = self.tensors
        if any(n.startswith(("transformer.", "lora_transformer_", "lora_unet_double_blocks", "lora_unet_single_blocks")) for n in names):
            return "Flux or another transformer"
        widths = {t.shape[1] for n, t in names.items() if re.search(r"attn2[._]to_k", n) and _DOWN.search(n) and len(t.shape) >= 2}
        return _FAMILY_BY_WIDTH.get(max(widths), f"a model with text width {max(widths)}") if widths else ""


def read_adapter_header(path: Path) -> AdapterHeader:
    """The checked header of a safetensors file. Reads no tensor.

    Raises:
        DarkroomError: When the file is missing, of another format, torn, or lies about its contents.
    """
    name = path.name
    if path.suffix != ".safetensors":
        raise DarkroomError(f"“{name}” is not a .safetensors file. Other formats can carry programs and are not read.", field="loras")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or not 2 <= length <= min(MAX_HEADER, size - 8):
                raise _bad(name, "its header is torn or too long")
            raw = file.read(length)
    except FileNotFoundError:
        raise DarkroomError(f"The LoRA “{name}” is not there any more.", field="loras") from None
    except OSError as error:
        raise _bad(name, error.strerror or "it cannot be opened") from None
    return _parse(name, raw, size - 8 - length)


def _parse(name: str, raw: bytes, data_bytes: int) -> AdapterHeader:
    if raw.count(b'"data_offsets"') > MAX_TENSORS:  # counted before the slow part
        raise _bad(name, f"it has more than {MAX_TENSORS:,} tensors")
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        raise _bad(name, "its header is no JSON, or names something twice") from None
    if not isinstance(document, dict):
        raise _bad(name, "its header is no list of tensors")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _bad(name, "its notes are not text")
    if not document:
        raise _bad(name, "it holds nothing")
    tensors = {key: _tensor(name, key, value) for key, value in document.items()}
    reached = 0
    for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.end)):
        if tensor.start != reached:
            raise _bad(name, "its tensors overlap or leave a gap")
        reached = tensor.end
    if reached != data_bytes:
        raise _bad(name, f"it holds {data_bytes:,} bytes of numbers and names {reached:,}")
    return AdapterHeader(metadata, tensors, 8 + len(raw))


def _tensor(name: str, key: str, value: Any) -> Tensor:
    if len(key) > 500 or not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _bad(name, f"“{key[:60]}” is not described as a tensor")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _bad(name, f"“{key[:60]}” has the unknown number format “{str(dtype)[:20]}”")
    if not _whole(shape, most=6) or not _whole(offsets, most=2) or len(offsets) != 2:
        raise _bad(name, f"“{key[:60]}” has a shape or place that is not whole numbers")
    if any(side > MAX_SIDE for side in shape) or offsets[1] - offsets[0] != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise _bad(name, f"“{key[:60]}” lies about its size")
    return Tensor(dtype, tuple(shape), offsets[0], offsets[1])


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, list) and len(value) <= most and all(type(v) is int and 0 <= v < 2**63 for v in value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("named twice")
    return found


def _bad(name: str, why: str) -> DarkroomError:
    return DarkroomError(f"“{name}” cannot be used as a LoRA: {why}. Get the file again, or choose another.", field="loras")
