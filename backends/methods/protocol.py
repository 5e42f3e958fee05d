"""What a method must offer: what a sample is, what is drawn for it, what is trained, and the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from backends.contract.caption_reading import TagOrders
from backends.contract.pictures import PictureFile
from backends.families.protocol import Conditions

CAPTION = "caption"
"""What is dropped when a sample's words are left out; any other name is that of a picture's role."""


@dataclass(frozen=True)
class Row:
    """One line of the frozen data set, as the manifest has it; `extra` has what only some methods read."""

    id: str
    file: PictureFile
    caption: str
    width: int
    height: int
    held_out: bool
    extra: dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """One picture of a sample; `id` stands for its content. `mask` is grey, of its size: white is learnt, black is not."""

    id: str
    file: PictureFile
    width: int
    height: int
    mask: PictureFile | None = None


def show_row(row: Row) -> Shown:
    """The picture of a row, with its mask where it has one."""
    mask = row.extra.get("mask_file")
    return Shown(row.id, row.file, row.width, row.height, Path(mask) if isinstance(mask, str) and mask else mask or None)


@dataclass(frozen=True)
class Item:
    """One training sample.

    Its pictures by role: the first decides the bucket, and all are cut to it. Its captions by the role that they describe; a
    role with a caption is one that the model predicts. `held_out` ones only judge. `orders` are those in which the tags of a role's
    caption are read; of a role without them as they are written.
    """

    id: str
    pictures: dict[str, Shown]
    captions: dict[str, str]
    held_out: bool
    orders: dict[str, TagOrders] = field(default_factory=dict)

    def read(self, role: str, number: int | None) -> str:
        """A role's caption with its tags in the order of a number of 63 bits, or as it is written."""
        how = self.orders.get(role)
        return self.captions[role] if how is None or number is None else how.pick(self.captions[role], number)

    def list_texts(self) -> list[str]:
        """All that may be read of its captions, where the orders are bounded."""
        return [text for role, caption in self.captions.items() for text in self._list_orders(role, caption)]

    def in_any_order(self) -> Item:
        """The same, its tags in any order there is: for where captions are not encoded beforehand."""
        return replace(self, orders={role: replace(how, most=None) for role, how in self.orders.items()})

    def _list_orders(self, role: str, caption: str) -> Sequence[str]:
        how = None if self.held_out else self.orders.get(role)
        return (caption,) if how is None else how.list_all(caption)


@dataclass
class Batch:
    """Samples of one size.

    `moments` has mean and deviation of each role's latents, (B, C, h, w) float32, unscaled, 0 where a role was dropped;
    `conditions` what the model is told of each role that has a caption; `indices` the items. `weights` is what each place counts in
    the loss, (B, 1, h, w) from 0 to 1, of roles in which a picture has a mask.
    """

    indices: list[int]
    moments: dict[str, tuple[torch.Tensor, torch.Tensor]]
    conditions: dict[str, Conditions]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class Draws:
    """Everything random in one loss, by role: timesteps (B,), noise, and the noise that picks a fresh VAE sample."""

    timesteps: dict[str, torch.Tensor]
    noise: dict[str, torch.Tensor]
    posterior: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Share:
    """Which part of a step's batch this process has. All draw for the whole batch, so that many draw what one would."""

    rank: int = 0
    ranks: int = 1


ALONE = Share()


@dataclass(frozen=True)
class SamplePlan:
    """One picture to draw while training: its words, how many seeds, and for an edit the picture before and the wanted one."""

    text: str
    seeds: int
    before: PictureFile | None = None
    target: PictureFile | None = None


@dataclass(frozen=True)
class PictureWish:
    """Pictures that the base model draws before training, as many as a folder lacks.

    `folder` is a person's own, or None for one of the studio's; `precision` no, fp32, fp16, bf16 or None for the run's.
    """

    prompt: str
    count: int
    folder: Path | None
    batch_size: int
    precision: str | None
    extra: dict[str, Any]


class Method(Protocol):
    """One way of training; made with the family and its settings."""

    trains: Literal["lora", "denoiser"]

    def build_items(self, rows: Sequence[Row]) -> list[Item]:
        """The samples that the manifest's rows make."""

    @staticmethod
    def wish_pictures(config: Any) -> PictureWish | None:
        """Pictures of the base model's own drawing that become rows with the wish's `extra`, or None."""

    def plan_drops(self) -> Callable[[float], frozenset[str]]:
        """What is left out of a training sample, as a function of one number drawn from 0..1; it travels to other processes."""

    def draw(self, batch: Batch, generator: torch.Generator, share: Share = ALONE) -> Draws:
        """Fresh draws for a process's share of a batch; a function of the generator's seed only."""

    def draw_fixed(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Draws:
        """Draws for the held-out loss: given timesteps and noise, latents at their mean."""

    def compute_losses(self, batch: Batch, draws: Draws, *, weighted: bool = True) -> torch.Tensor:
        """The loss of each sample, (B,) float32; `weighted` off gives the plain squared error that judges."""

    def plan_samples(self, items: Sequence[Item]) -> list[SamplePlan]:
        """What is drawn every so many steps."""

    def plan_validation(self, items: Sequence[Item]) -> list[SamplePlan]:
        """What is drawn every so many passes."""
