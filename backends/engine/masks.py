"""Masks of pictures: what of each is learnt, cut and mirrored as the picture is, at the size of its latents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from backends.contract.buckets import Placement
from backends.contract.errors import DarkroomError
from backends.contract.pictures import PictureFile, cut_picture
from backends.engine.order import Pick
from backends.engine.sources import Source
from backends.engine.telling import Placements
from backends.methods.protocol import Batch, Item

_KEPT = 2048  # masks in memory; one of 1,024 px is 64 KiB at the size of its latents


def read_mask(file: PictureFile, placement: Placement, shape: tuple[int, int], *, flipped: bool = False) -> torch.Tensor:
    """A mask of 0 (not learnt) to 1 (learnt), float32 (1, h, w): each value is the mean of what its latent covers.

    Raises:
        DarkroomError: When the file is gone or is no picture; names it.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as opened:
            cut = cut_picture(opened.convert("L"), placement)
    except (OSError, SyntaxError, ValueError) as error:
        raise DarkroomError(f"The mask {file.name} cannot be read ({error}). Make it anew, then start a new run.") from None
    values = torch.from_numpy(np.asarray(ImageOps.mirror(cut) if flipped else cut, dtype=np.float32)).div(255)
    return torch.nn.functional.adaptive_avg_pool2d(values[None], shape)


class Masks:
    """What each place of a batch counts in the loss.

    Args:
        items: All samples.
        placements: How their pictures come to their buckets.
        outside: What a place outside of a mask counts, 0 to 1.
    """

    def __init__(self, items: Sequence[Item], placements: Placements, *, outside: float) -> None:
        self._items, self._placements, self._outside = items, placements, outside
        self._read = lru_cache(maxsize=_KEPT)(read_mask)

    def weigh(
        self, views: Sequence[tuple[int, bool]], roles: Iterable[str], moments: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """(B, 1, h, w) on the moments' device, of those roles in which a sample of these views has a mask."""
        return {
            role: self._weigh_role(views, role, moments[role][0])
            for role in roles
            if any(self._items[index].pictures[role].mask for index, _ in views)
        }

    def _weigh_role(self, views: Sequence[tuple[int, bool]], role: str, like: torch.Tensor) -> torch.Tensor:
        shape = (like.shape[-2], like.shape[-1])
        rows = []
        for index, flipped in views:
            file = self._items[index].pictures[role].mask
            rows.append(self._read(file, self._placements[index][role], shape, flipped=flipped) if file else torch.ones(1, *shape))
        inside = torch.stack(rows)
        return (self._outside + (1 - self._outside) * inside).to(like.device)


class MaskedPictures:
    """A source whose batches also say what each place counts."""

    def __init__(self, source: Source, masks: Masks) -> None:
        self._source, self._masks = source, masks

    def fetch(self, pick: Pick) -> Batch:
        """The batch of a pick, on the device."""
        batch = self._source.fetch(pick)
        return replace(batch, weights=self._masks.weigh(pick.views, batch.conditions, batch.moments))


def mask_stream(source: Source, config: Any, items: Sequence[Item], placements: Placements) -> Source:
    """The source with the masks of samples that are streamed: which of them has one is seen when it comes."""
    return MaskedPictures(source, Masks(items, placements, outside=config.unmasked_weight))


def add_masks(source: Source, config: Any, items: Sequence[Item], placements: Placements) -> Source:
    """The source, with the masks of its pictures where the settings ask for them and a picture has one."""
    if not getattr(config, "masked_loss", False) or not any(shown.mask for item in items for shown in item.pictures.values()):
        return source
    return MaskedPictures(source, Masks(items, placements, outside=config.unmasked_weight))
