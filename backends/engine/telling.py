"""What the model is told beside the pictures of a batch: words and sizes; and what is left out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from backends.contract.buckets import Placement
from backends.engine.order import Pick
from backends.families.protocol import Conditions, Family
from backends.methods.protocol import CAPTION, Batch, Item, Shown

Placements = Sequence[dict[str, Placement]]  # of each sample, by role; all of one sample have one bucket


class PromptSource(Protocol):
    """Gives what the model is told of captions."""

    def conditions(self, texts: Sequence[str]) -> Conditions:
        """A row a text, on the device."""


@dataclass(frozen=True)
class Sizes:
    """What a family tells its model of the sizes and cuts of pictures."""

    family: Family
    items: Sequence[Item]
    placements: Placements

    def tell(self, role: str, views: Sequence[tuple[int, bool]]) -> Conditions:
        """Of samples, upright or mirrored, in one role: a row each."""
        rows = [self._tell_one(index, role, flipped) for index, flipped in views]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _tell_one(self, index: int, role: str, flipped: bool) -> Conditions:
        shown: Shown = self.items[index].pictures[role]
        return self.family.picture_conditions(shown.width, shown.height, self.placements[index][role], flipped)


def compose_batch(
    pick: Pick, items: Sequence[Item], prompts: PromptSource, moments: dict[str, Any], tell_sizes: Callable[[str], Conditions]
) -> Batch:
    """The batch of a pick from its pictures' moments, on their device.

    Args:
        pick: Which samples.
        items: All samples.
        prompts: What the model is told of their captions.
        moments: Mean and deviation (B, C, h, w) by role.
        tell_sizes: What it is told of their sizes in a role.
    """
    device = next(iter(moments.values()))[0].device
    conditions = {
        role: {**words, **{name: told.to(device) for name, told in tell_sizes(role).items()}}
        for role, words in tell_words(items, prompts, pick).items()
    }
    return Batch(pick.indices, leave_out(moments, pick), conditions)


def tell_words(items: Sequence[Item], prompts: PromptSource, pick: Pick) -> dict[str, Conditions]:
    """What the model is told in words of each role that has a caption; of a dropped caption, what it knows as none."""
    orders: Sequence[int | None] = pick.orders or [None] * len(pick.indices)
    shown = list(zip(pick.indices, pick.drops, orders, strict=True))
    told = {}
    for role in items[pick.indices[0]].captions:
        texts = ["" if CAPTION in dropped else items[index].read(role, order) for index, dropped, order in shown]
        told[role] = prompts.conditions(texts)
    return told


def leave_out(moments: dict[str, Any], pick: Pick) -> dict[str, Any]:
    """The moments, 0 for each sample whose picture in that role is dropped."""
    for role, (mean, deviation) in moments.items():
        gone = [row for row, dropped in enumerate(pick.drops) if role in dropped]
        if gone:
            moments[role] = tuple(part.index_fill(0, torch.tensor(gone, device=part.device), 0.0) for part in (mean, deviation))
    return moments
