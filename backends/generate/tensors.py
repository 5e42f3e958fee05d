"""Reading the numbers of a result's file: one read, every number checked."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from backends.contract.adapter_file import AdapterHeader
from backends.contract.errors import DarkroomError

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
Identity = tuple[str, int, int, int]


def identify(path: Path) -> Identity:
    """What changes whenever the file does.

    Raises:
        DarkroomError: When it is not there.
    """
    try:
        stat = os.stat(path)
    except OSError:
        raise DarkroomError(f"The LoRA “{path.name}” is not there any more.", field="loras") from None
    return (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)


def read_tensors(path: Path, header: AdapterHeader) -> dict[str, torch.Tensor]:
    """The numbers of a file whose header was checked; each tensor is a view of one read.

    Raises:
        DarkroomError: When the file changed meanwhile, or holds numbers that cannot be drawn with.
    """
    data = bytearray(path.read_bytes())
    if len(data) != header.data_start + max(t.end for t in header.tensors.values()):
        raise DarkroomError(f"“{path.name}” changed while it was read. Try again.", field="loras")
    check_formats(path, header)
    tensors = {}
    for key, place in header.tensors.items():
        dtype = DTYPES[place.dtype]
        count = (place.end - place.start) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=header.data_start + place.start) if count else torch.empty(0)
        tensors[key] = flat.view(place.shape)
    formats = {t.dtype for t in header.tensors.values()}
    if len(formats) == 1 and all(t.numel() for t in tensors.values()):
        whole = torch.frombuffer(data, dtype=DTYPES[formats.pop()], offset=header.data_start)
        finite = bool(torch.isfinite(whole).all())
    else:
        finite = all(bool(torch.isfinite(t).all()) for t in tensors.values())
    if not finite:
        raise not_finite(path)
    return tensors


def check_formats(path: Path, header: AdapterHeader) -> None:
    """Refuses numbers that are no fractions.

    Raises:
        DarkroomError: Naming their format.
    """
    formats = {t.dtype for t in header.tensors.values()}
    if not formats <= DTYPES.keys():
        raise DarkroomError(
            f"“{path.name}” holds numbers of the format {', '.join(sorted(formats))}; a LoRA needs fractions.", field="loras"
        )


def not_finite(path: Path) -> DarkroomError:
    """The sentence for a file whose training broke."""
    return DarkroomError(
        f"“{path.name}” holds numbers that are not finite; its training broke. Choose an earlier checkpoint.", field="loras"
    )
