"""A divided model outside of a run: what one rank does alone with all weights gathered must leave no trace on the others."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.distributed
from diffusers import UNet2DConditionModel

from backends.engine.pieces import cut, find_pieces, gather, hand_gradients, name_pieces
from backends.engine.sharing import Shards
from tests.backends.engine import toy
from tests.backends.toys import UNET
from tests.ports import free_port

pytestmark = pytest.mark.slow
TIMESTEPS, WORDS = torch.tensor([3, 5]), torch.full((2, 5, 16), 0.1)
ODD = {**UNET, "block_out_channels": (9, 15), "norm_num_groups": 3, "attention_head_dim": (3, 5)}  # which two ranks cannot halve


class Broke(Exception):
    """What goes wrong in the midst of a pass."""


def train(rank: int, folder: Path, *, alone_at: set[int], breaks: bool) -> None:
    """Three steps; before some of them rank 0 goes forward alone, and where it `breaks` not to the end."""
    torch.manual_seed(0)
    unet: Any = UNet2DConditionModel(**ODD, cross_attention_dim=16)
    where = SimpleNamespace(mixed_precision="no", device=torch.device("cpu"), num_processes=2)
    sharing = Shards(where, SimpleNamespace(notice=lambda text: None))  # type: ignore[arg-type]
    named = name_pieces(sharing.divide(unet))
    before = {name: tensor.clone() for name, tensor in named.items()}
    optimizer = torch.optim.AdamW(named.values(), lr=1e-2)
    for step in range(3):
        noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2 * step + rank))
        if step in alone_at:
            with sharing.whole():
                if rank == 0:
                    go_alone(unet, noisy, breaks=breaks)
        unet(noisy, TIMESTEPS, WORDS).sample.square().mean().backward()
        hand_gradients(find_pieces(named.values()))
        optimizer.step()
        optimizer.zero_grad()
    whole = gather(dict(named), named)
    if rank == 0:
        assert all(torch.equal(cut(whole[name], piece), piece) for name, piece in named.items())
        assert any((before[name] != piece).any() for name, piece in named.items())
        safetensors.torch.save_file(whole, folder / f"{len(alone_at)}.safetensors")


@torch.no_grad()
def go_alone(unet: Any, noisy: torch.Tensor, *, breaks: bool) -> None:
    """Two passes, of which the second may not come to its end."""
    unet(noisy, TIMESTEPS, WORDS)
    if not breaks:
        return

    def break_off(*_: Any) -> None:
        raise Broke

    hook = unet.mid_block.register_forward_pre_hook(break_off)
    with pytest.raises(Broke):
        unet(noisy, TIMESTEPS, WORDS)
    hook.remove()


def be_rank(rank: int, port: int, folder: Path, asked: dict[str, Any]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2", GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    train(rank, folder, **asked)
    torch.distributed.destroy_process_group()


def run_two(folder: Path, **asked: Any) -> None:
    port = free_port()
    ranks = [toy.start_process(be_rank, rank, port, folder, asked) for rank in (0, 1)]
    for process in ranks:
        process.join(toy.DEADLINE_S)
        process.kill()
    assert [process.exitcode for process in ranks] == [0, 0]


def test_passes_of_one_rank_alone_change_nothing_even_the_first_of_all_and_one_that_breaks_off(tmp_path):
    run_two(tmp_path, alone_at=set(), breaks=False)
    run_two(tmp_path, alone_at={0, 2}, breaks=True)
    assert toy.difference(tmp_path / "0.safetensors", tmp_path / "2.safetensors") == 0
