"""The checked header of a .safetensors file, read without a tensor. Torch-free.

Layout of the format: 8 bytes little-endian length N, N bytes of JSON (name -> dtype, shape, data_offsets), then the data.
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract.errors import DarkroomError

MAX_HEADER = 8_000_000
MAX_TENSORS = 20_000
MAX_SIDE = 1_000_000
_WIDE = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "U64": 8, "U32": 4, "U16": 2}
DTYPE_BYTES = {**_WIDE, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class Tensor:
    """One tensor's place in the file; `start` and `end` count from the first data byte."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class TensorHeader:
    """What the header of a .safetensors file says.

    `data_start` is the offset of the first data byte in the file.
    """

    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    data_start: int


@dataclass(frozen=True)
class Purpose:
    """What a file is wanted for, for the sentences about it: “cannot be used as `use`”, at the setting `field`."""

    use: str
    field: str
    gone: str


def read_header(path: Path, purpose: Purpose) -> TensorHeader:
    """The checked header of a .safetensors file. Reads no tensor.

    Raises:
        DarkroomError: When the file is missing, of another format, torn, or lies about its contents.
    """
    name = path.name
    if path.suffix != ".safetensors":
        raise DarkroomError(f"“{name}” is not a .safetensors file. Other formats can carry programs and are not read.", field=purpose.field)
    reading = _Reading(name, purpose)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or not 2 <= length <= min(MAX_HEADER, size - 8):
                raise reading.refuse("its header is torn or too long")
            raw = file.read(length)
    except FileNotFoundError:
        raise DarkroomError(f"{purpose.gone} “{name}” is not there any more.", field=purpose.field) from None
    except OSError as error:
        raise reading.refuse(error.strerror or "it cannot be opened") from None
    return reading.parse(raw, size - 8 - length)


@dataclass(frozen=True)
class _Reading:
    """One file being read; knows its name and purpose for the sentences."""

    name: str
    purpose: Purpose

    def refuse(self, why: str) -> DarkroomError:
        text = f"“{self.name}” cannot be used as {self.purpose.use}: {why}. Get the file again, or choose another."
        return DarkroomError(text, field=self.purpose.field)

    def parse(self, raw: bytes, data_bytes: int) -> TensorHeader:
        if raw.count(b'"data_offsets"') > MAX_TENSORS:  # counted before the slow part
            raise self.refuse(f"it has more than {MAX_TENSORS:,} tensors")
        try:
            document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError):
            raise self.refuse("its header is no JSON, or names something twice") from None
        if not isinstance(document, dict):
            raise self.refuse("its header is no list of tensors")
        metadata = document.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            raise self.refuse("its notes are not text")
        if not document:
            raise self.refuse("it holds nothing")
        tensors = {key: self.read_tensor(key, value) for key, value in document.items()}
        reached = 0
        for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.end)):
            if tensor.start != reached:
                raise self.refuse("its tensors overlap or leave a gap")
            reached = tensor.end
        if reached != data_bytes:
            raise self.refuse(f"it holds {data_bytes:,} bytes of numbers and names {reached:,}")
        return TensorHeader(metadata, tensors, 8 + len(raw))

    def read_tensor(self, key: str, value: Any) -> Tensor:
        if len(key) > 500 or not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
            raise self.refuse(f"“{key[:60]}” is not described as a tensor")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
            raise self.refuse(f"“{key[:60]}” has the unknown number format “{str(dtype)[:20]}”")
        if not _whole(shape, most=6) or not _whole(offsets, most=2) or len(offsets) != 2:
            raise self.refuse(f"“{key[:60]}” has a shape or place that is not whole numbers")
        if any(side > MAX_SIDE for side in shape) or offsets[1] - offsets[0] != math.prod(shape) * DTYPE_BYTES[dtype]:
            raise self.refuse(f"“{key[:60]}” lies about its size")
        return Tensor(dtype, tuple(shape), offsets[0], offsets[1])


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, list) and len(value) <= most and all(type(v) is int and 0 <= v < 2**63 for v in value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("named twice")
    return found
