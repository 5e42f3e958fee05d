"""Encoded pictures and captions that are too many for the memory: read from the disk for each batch, one batch ahead of the step.

50,000 pairs at 1024 px with their mirror images are 100 GB, and every rank of a machine would hold them once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from backends.engine.cache import EncodedCache, Tensors
from backends.engine.order import Pick
from backends.engine.telling import PromptSource, Sizes, compose_batch
from backends.families.protocol import Conditions
from backends.methods.protocol import Batch


class StoredPrompts:
    """Embeddings of all captions of a run, on the disk; `keys` are their entries by text."""

    def __init__(self, cache: EncodedCache, keys: dict[str, str], device: torch.device) -> None:
        self._cache, self._keys, self._device = cache, keys, device

    def conditions(self, texts: Sequence[str]) -> Conditions:
        """Read now."""
        read = {text: self._cache.read_known(self._keys[text]) for text in dict.fromkeys(texts)}
        names = next(iter(read.values())).keys()
        return {name: torch.stack([read[text][name] for text in texts]).to(self._device, non_blocking=True) for name in names}


class StoredPictures:
    """Latents' moments of all pictures, on the disk.

    Args:
        prompts: What the model is told of their captions.
        cache: Where the entries lie.
        keys: The entry of each sample's picture by (sample, role, mirrored).
        sizes: All samples, and what it is told of their sizes.
        device: Where batches are wanted.
    """

    def __init__(
        self, prompts: PromptSource, *, cache: EncodedCache, keys: dict[tuple[int, str, bool], str], sizes: Sizes, device: torch.device
    ) -> None:
        self._prompts, self._cache, self._keys, self._sizes, self._device = prompts, cache, keys, sizes, device
        self._upcoming: Callable[[int], Pick] | None = None
        self._ahead: tuple[Pick, Future[Batch]] | None = None
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")

    def read_ahead(self, upcoming: Callable[[int], Pick]) -> None:
        """From now on the batch behind each that is fetched is read meanwhile; `upcoming` gives the pick of a micro-step."""
        self._upcoming = upcoming

    def fetch(self, pick: Pick) -> Batch:
        """The batch that was read ahead, or read now."""
        if self._upcoming is None or pick.position < 0:  # a judgement asks out of turn
            return self._read(pick)
        known, self._ahead = self._ahead, None
        batch = known[1].result() if known and known[0] == pick else self._read(pick)
        following = self._upcoming(pick.position + 1)
        self._ahead = (following, self._reader.submit(self._read, following))
        return batch

    def _read(self, pick: Pick) -> Batch:
        moments = {}
        for role in self._sizes.items[pick.indices[0]].pictures:
            entries: list[Tensors] = [self._cache.read_known(self._keys[i, role, f]) for i, f in pick.views]
            mean, deviation = (torch.stack([entry[part] for entry in entries]) for part in ("mean", "deviation"))
            moments[role] = (mean.to(self._device, non_blocking=True), deviation.to(self._device, non_blocking=True))
        return compose_batch(pick, self._sizes.items, self._prompts, moments, lambda role: self._sizes.tell(role, pick.views))
