"""Parameters of which each rank keeps a piece: what optimizer and average see of them, and how a file's whole tensors come and go.

The pieces are plain tensors, so that optimizers and averages need not know. (torch's own optimizers take its DTensors as well, but find
out anew for each list of them what is to be done: with the 1,680 tensors of SDXL that took 48 s before the first step.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed
from torch.distributed.tensor import DTensor, distribute_tensor


class Piece(torch.nn.Parameter):
    """This rank's part of a divided parameter, in the same memory; `of` is the divided one, at which the gradients arrive."""

    of: Any


def name_pieces(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters of a module by name; of divided ones this rank's pieces."""
    return {name: _take_piece(parameter) for name, parameter in module.named_parameters()}


def take_gradients(parameters: Sequence[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The gradients there are; those of divided parameters are handed to their pieces."""
    for parameter in parameters:
        if isinstance(parameter, Piece) and parameter.of.grad is not None:
            parameter.grad = parameter.of.grad.to_local()
            parameter.of.grad = None
    return [p.grad for p in parameters if p.grad is not None]


def compute_norm(parameters: Sequence[torch.nn.Parameter], gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """The norm of all gradients, over the pieces of all ranks."""
    norm = torch.nn.utils.get_total_norm(gradients)
    if not any(isinstance(parameter, Piece) for parameter in parameters):
        return norm
    square = norm.square()
    torch.distributed.all_reduce(square)
    return square.sqrt()


def gather(tensor: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """The whole of a tensor on the CPU. Of a divided one all ranks must ask, and rank 0 alone gets it: the others an empty one.

    Args:
        tensor: A parameter, or what belongs to one.
        like: That parameter, where it may be a piece.
    """
    if isinstance(like, Piece) and tensor.shape == like.shape:
        of = like.of
        shape = {"shape": of.shape, "stride": of.stride()}
        tensor = DTensor.from_local(tensor.detach(), of.device_mesh, of.placements, run_check=False, **shape)
    if not isinstance(tensor, DTensor):
        return tensor.detach().cpu().contiguous()
    whole = tensor.detach().full_tensor()
    return whole.cpu().contiguous() if torch.distributed.get_rank() == 0 else torch.empty(0, device="meta")


def cut(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What this rank keeps of a whole tensor that it has read, where `like` is divided and has its shape; else the tensor itself."""
    divided = like.of if isinstance(like, Piece) else like
    if not isinstance(divided, DTensor) or tensor.shape != divided.shape:
        return tensor
    own = distribute_tensor(tensor.to(divided.device), divided.device_mesh, divided.placements, src_data_rank=None)
    return own.to_local() if isinstance(like, Piece) else own


def _take_piece(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    if not isinstance(parameter, DTensor):
        return parameter
    piece = Piece(parameter.detach().to_local(), requires_grad=True)
    piece.of = parameter
    return piece
