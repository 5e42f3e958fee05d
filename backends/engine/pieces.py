"""Tensors of which each rank may keep only a piece: how they become whole for a file, and how a file's are cut again.

Of a divided model (see `sharing.Shards`) weights, moments and averages are torch's DTensors, with which optimizers and averages
compute as with any others. Only where numbers leave the ranks, come back to them, or must be the same on all, do these three matter.
"""

from __future__ import annotations

import torch
import torch.distributed
from torch.distributed.tensor import DTensor, distribute_tensor


def gather(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor on the CPU. Of a divided one all ranks must ask, and rank 0 alone gets it: the others an empty one."""
    if not isinstance(tensor, DTensor):
        return tensor.detach().cpu().contiguous()
    whole = tensor.detach().full_tensor()
    return whole.cpu().contiguous() if torch.distributed.get_rank() == 0 else torch.empty(0, device="meta")


def cut(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This rank's piece of a whole tensor, where `like` is divided and of that shape; else the tensor as it is."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)  # every rank read the file


def agree(value: torch.Tensor) -> torch.Tensor:
    """A number computed from pieces, as it is over all of them."""
    return value.full_tensor() if isinstance(value, DTensor) else value
