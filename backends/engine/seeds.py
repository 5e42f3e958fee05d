"""Seeds that are functions of where they are used, so that a resumed run draws what an uninterrupted one draws."""

from __future__ import annotations

import hashlib

import torch


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on their order.

    The generator of noise is seeded by (seed, step, micro-step, 0) on every rank, which takes its share of what is drawn for
    all; because no draw depends on an earlier one, there is no generator state to save in a checkpoint.
    """
    digest = hashlib.blake2b("/".join(str(p) for p in parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def build_generator(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """A generator on `device`, seeded by `mix_seed(*parts)`."""
    return torch.Generator(device).manual_seed(mix_seed(*parts))


def seed_dropout(device: torch.device, *parts: int | str) -> None:
    """Seeds torch's own generators by `mix_seed(*parts)`, from which dropout draws.

    On a CPU only that of the CPU: `torch.manual_seed` asks after every kind of device there is, 0.4 ms in a step of 70.
    """
    seed = mix_seed(*parts)
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
