"""What the model is told beside the pictures of a batch: words and sizes; and what is left out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from backends.contract.buckets import Placement
from backends.engine.order import Pick
from backends.families.protocol import Conditions, Family
from backends.methods.protocol import CAPTION, Item, Shown

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

    def tell(self, role: str, pick: Pick) -> Conditions:
        """Of the pictures of a pick in one role, a row a picture."""
        rows = [self.tell_one(i, role, flipped=f) for i, f in zip(pick.indices, pick.flips, strict=True)]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def tell_one(self, index: int, role: str, *, flipped: bool) -> Conditions:
        """Of one picture, without the batch axis."""
        shown: Shown = self.items[index].pictures[role]
        return self.family.picture_conditions(shown.width, shown.height, self.placements[index][role], flipped)


def tell_words(items: Sequence[Item], prompts: PromptSource, pick: Pick) -> dict[str, Conditions]:
    """What the model is told in words of each role that has a caption; of a dropped caption, what it knows as none."""
    told = {}
    for role in items[pick.indices[0]].captions:
        texts = ["" if CAPTION in dropped else items[i].captions[role] for i, dropped in zip(pick.indices, pick.drops, strict=True)]
        told[role] = prompts.conditions(texts)
    return told


def leave_out(moments: dict[str, Any], pick: Pick) -> dict[str, Any]:
    """The moments, 0 for each sample whose picture in that role is dropped."""
    for role, (mean, deviation) in moments.items():
        gone = [row for row, dropped in enumerate(pick.drops) if role in dropped]
        if gone:
            moments[role] = tuple(part.index_fill(0, torch.tensor(gone, device=part.device), 0.0) for part in (mean, deviation))
    return moments
