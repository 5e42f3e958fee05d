"""What a method must offer: what a sample is, what is drawn for it, what is trained, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from backends.families.protocol import Conditions


@dataclass(frozen=True)
class Row:
    """One picture of the frozen data set, as the manifest has it."""

    id: str
    file: Path
    caption: str
    width: int
    height: int
    held_out: bool
    extra: dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One training sample: its pictures by role (all of one size), its caption, and whether it only judges."""

    id: str
    pictures: dict[str, Path]
    caption: str
    width: int
    height: int
    held_out: bool


@dataclass
class Batch:
    """Samples of one size.

    `moments` has mean and deviation of each role's latents, (B, C, h, w) float32, unscaled; `indices` the items.
    """

    indices: list[int]
    moments: dict[str, tuple[torch.Tensor, torch.Tensor]]
    conditions: Conditions


@dataclass
class Draws:
    """Everything random in one loss: timesteps (B,), noise, and the noise that picks a fresh VAE sample of each role."""

    timesteps: torch.Tensor
    noise: torch.Tensor
    posterior: dict[str, torch.Tensor]


class Method(Protocol):
    """One way of training; made with the family and its settings."""

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """The samples that the manifest's rows make."""

    def adapters(self) -> dict[str, tuple[torch.nn.Module, Any]]:
        """Component name -> (module, target modules of its LoRA)."""

    def draw(self, batch: Batch, generator: torch.Generator) -> Draws:
        """Fresh draws for a batch; a function of the generator's seed only."""

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """Draws for the held-out loss: given timesteps and noise, latents at their mean."""

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample, (B,) float32; `weighted` off gives the plain squared error that judges."""
