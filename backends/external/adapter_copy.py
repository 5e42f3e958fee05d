"""LoRA files of another program, checked and copied under a header of ours. Torch-free."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from backends.contract.adapter_file import AdapterHeader

# Bits of the exponent: all of them set is no number, or infinite.
_EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F80_0000), "F64": ("<u8", 0x7FF0_0000_0000_0000)}


def find_not_finite(path: Path, header: AdapterHeader) -> str:
    """Name of the first tensor that holds something that is not a number; empty where all are."""
    with path.open("rb") as file:
        for name, tensor in sorted(header.tensors.items(), key=lambda item: item[1].start):
            if tensor.dtype not in _EXPONENTS:
                continue
            kind, mask = _EXPONENTS[tensor.dtype]
            file.seek(header.data_start + tensor.start)
            bits = np.frombuffer(file.read(tensor.end - tensor.start), dtype=kind)
            if ((bits & mask) == mask).any():
                return name
    return ""


def copy_adapter(source: Path, target: Path, header: AdapterHeader, notes: dict[str, str]) -> None:
    """Writes the same tensors to `target`, with `notes` added to what the header says.

    Raises:
        OSError: When the disk is full or cannot be written.
    """
    described = {n: {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [t.start, t.end]} for n, t in header.tensors.items()}
    text = json.dumps({"__metadata__": {**header.metadata, **notes}, **described}, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the numbers behind it begin at a multiple of 8
    with source.open("rb") as read, target.open("wb") as written:
        read.seek(header.data_start)
        written.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(read, written, 1 << 20)
