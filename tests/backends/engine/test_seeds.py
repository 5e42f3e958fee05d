"""Dropout draws the same at the same step, whatever was drawn before."""

from __future__ import annotations

import torch

from backends.contract.chance import mix_seed
from backends.engine.seeds import seed_dropout

CPU = torch.device("cpu")


def drop() -> torch.Tensor:
    return torch.nn.functional.dropout(torch.ones(1000))


def test_dropout_is_seeded_as_torch_itself_would_be():
    torch.manual_seed(mix_seed(7, "dropout", 3))
    expected = drop()
    drop()
    seed_dropout(CPU, 7, "dropout", 3)
    assert torch.equal(drop(), expected)
    seed_dropout(CPU, 7, "dropout", 4)
    assert not torch.equal(drop(), expected)
