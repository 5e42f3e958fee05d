"""Parameters of which each rank keeps a piece: what optimizer and average see of them, and how a file's whole tensors come and go.

The pieces are plain tensors, so that optimizers and averages need not know. (torch's own optimizers take its DTensors as well, but find
out anew for each list of them what is to be done: with the 1,680 tensors of SDXL that took 48 s before the first step.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed
from torch.distributed.tensor import DTensor, Shard

GATHERED_BYTES = 2**28  # in one message: few of them, and little memory beside the model


class Piece(torch.nn.Parameter):
    """This rank's part of a divided parameter, in the same memory; `of` is the divided one, at which the gradients arrive."""

    of: Any


def name_pieces(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters of a module by name; of divided ones this rank's pieces."""
    return {name: _take_piece(parameter) for name, parameter in module.named_parameters()}


def find_pieces(parameters: Iterable[torch.nn.Parameter]) -> list[Piece]:
    """Those that are pieces of a divided one."""
    return [parameter for parameter in parameters if isinstance(parameter, Piece)]


def hand_gradients(pieces: Sequence[Piece]) -> None:
    """Gives each piece its part of the gradient that arrived at the divided parameter."""
    for piece in pieces:
        if piece.of.grad is not None:
            piece.grad = piece.of.grad.to_local()
            piece.of.grad = None


def compute_norm(gradients: list[torch.Tensor], *, divided: bool) -> torch.Tensor:
    """The norm of all gradients; where the model is divided, over the pieces of all ranks."""
    # as torch.nn.utils.get_total_norm, whose sorting by device and type costs more than half of it on a CPU
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if not divided:
        return norm
    square = norm.square()
    torch.distributed.all_reduce(square)
    return square.sqrt()


def gather(tensors: dict[str, torch.Tensor], parameters: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """Copies of tensors on the CPU, whole. Where some are divided all ranks must ask, and only rank 0 gets those.

    Args:
        tensors: By name.
        parameters: By the same names, the parameters that they are or belong to; what has another shape than its own is not divided.
    """
    found: dict[str, torch.Tensor] = {}
    waiting: dict[str, tuple[torch.Tensor, Piece]] = {}
    size = 0
    for name, tensor in tensors.items():
        piece = parameters.get(name)
        if not isinstance(piece, Piece) or tensor.shape != piece.shape:
            found[name] = tensor.detach().to("cpu", copy=True).contiguous()
            continue
        waiting[name] = (tensor.detach(), piece)
        size += piece.of.numel() * piece.element_size()
        if size > GATHERED_BYTES:
            found |= _send(waiting)
            waiting, size = {}, 0
    found |= _send(waiting)
    return {name: found[name] for name in tensors if name in found}


def cut(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What this rank keeps of a whole tensor that it has read, where `like` is a piece of one with its shape; else the tensor itself."""
    if not isinstance(like, Piece) or tensor.shape != like.of.shape:
        return tensor
    rows = _rows_a_rank(like)
    return tensor[torch.distributed.get_rank() * rows :][:rows].clone()


def _take_piece(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    if not isinstance(parameter, DTensor):
        return parameter
    divided: Any = parameter
    assert divided.placements == (Shard(0),)
    piece = Piece(divided.detach().to_local(), requires_grad=True)
    piece.of = divided
    return piece


def _rows_a_rank(piece: Piece) -> int:
    """Along the first axis each rank has as many; the last ones fewer, or none, where it does not come out even."""
    return -(-int(piece.of.shape[0]) // torch.distributed.get_world_size())


def _send(waiting: dict[str, tuple[torch.Tensor, Piece]]) -> dict[str, torch.Tensor]:
    """Many tensors in one message to rank 0; there whole, elsewhere nothing."""
    if not waiting:
        return {}
    sizes = [_rows_a_rank(piece) * (piece.of.numel() // piece.of.shape[0]) for _, piece in waiting.values()]
    own = torch.cat([torch.nn.functional.pad(t.flatten(), (0, n - t.numel())) for (t, _), n in zip(waiting.values(), sizes, strict=True)])
    leads = torch.distributed.get_rank() == 0
    parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())] if leads else None
    torch.distributed.gather(own, parts, dst=0)
    if parts is None:
        return {}
    by_tensor = zip(*(part.split(sizes) for part in parts), strict=True)
    shapes = [piece.of.shape for _, piece in waiting.values()]
    return {
        name: torch.cat(pieces)[: shape.numel()].view(shape).cpu() for name, pieces, shape in zip(waiting, by_tensor, shapes, strict=True)
    }
