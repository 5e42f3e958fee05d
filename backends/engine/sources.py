"""Where a batch comes from: from encoded pictures and captions kept in memory, or from the files, encoded each time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch

from backends.contract.buckets import Placement
from backends.engine.cache import EncodedCache, Tensors, compute_key, fill_cache
from backends.engine.order import Pick
from backends.engine.pictures import read_pixels
from backends.engine.stored import StoredPictures, StoredPrompts
from backends.engine.telling import Placements, PromptSource, Sizes, compose_batch
from backends.families.protocol import Conditions, Family
from backends.methods.protocol import Batch, Item, Shown

FORMAT = "2"  # raise it when what is encoded changes
MAX_ON_DEVICE = 2**30  # bytes of latents that stay on the GPU; more wait in the machine's memory


class Source(Protocol):
    """Gives batches; all samples of one pick are of one bucket."""

    def fetch(self, pick: Pick) -> Batch:
        """The batch of a pick, on the device."""


class EncodedPrompts:
    """Embeddings of all captions of a run, encoded once and kept on the device, or in the machine's memory where they are many."""

    def __init__(self, rows: dict[str, int], stacked: Conditions, device: torch.device) -> None:
        self._rows, self._device = rows, device
        home = choose_home(stacked.values(), device)
        self._stacked, self._home = {name: tensor.to(home) for name, tensor in stacked.items()}, home

    def conditions(self, texts: Sequence[str]) -> Conditions:
        """Picked from what is kept."""
        rows = torch.tensor([self._rows[t] for t in texts], device=self._home)
        return {name: tensor[rows].to(self._device, non_blocking=True) for name, tensor in self._stacked.items()}


class LivePrompts:
    """Embeddings made anew for each batch."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def conditions(self, texts: Sequence[str]) -> Conditions:
        """Encoded now."""
        return self._family.encode_prompts(texts)


class TokenPrompts:
    """Token ids only: the text encoders are trained, so that embedding belongs to the forward pass."""

    def __init__(self, family: Family, device: torch.device) -> None:
        self._family, self._device = family, device

    def conditions(self, texts: Sequence[str]) -> Conditions:
        """Tokens on the device."""
        return {name: ids.to(self._device) for name, ids in self._family.tokenize(texts).items()}


class EncodedPictures:
    """Latents' moments of all pictures, stacked by bucket; mirrored ones beside the upright where flips are wanted.

    Args:
        groups: What is kept of each bucket, on the device or in the machine's memory.
        places: Bucket and row of each sample.
        device: Where batches are wanted.
    """

    def __init__(
        self,
        items: Sequence[Item],
        prompts: PromptSource,
        *,
        groups: dict[Hashable, dict[str, Any]],
        places: dict[int, Any],
        device: torch.device,
    ) -> None:
        self._items, self._prompts, self._groups, self._places, self._device = items, prompts, groups, places, device

    def fetch(self, pick: Pick) -> Batch:
        """Rows of one bucket."""
        kept = self._groups[self._places[pick.indices[0]][0]]
        numbers = [self._places[i][1] * kept["variants"] + f for i, f in pick.views]
        first = next(iter(kept["moments"].values()))[0]
        rows = torch.tensor(numbers, device=first.device)
        moments = {role: (self._pick(mean, rows), self._pick(deviation, rows)) for role, (mean, deviation) in kept["moments"].items()}
        sizes = kept["conditions"]
        return compose_batch(
            pick, self._items, self._prompts, moments, lambda role: {name: self._pick(told, rows) for name, told in sizes[role].items()}
        )

    def _pick(self, kept: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return kept[rows].to(self._device, non_blocking=True)


class PixelReader:
    """Pixels of a pick; knows files only, so that it can travel to loading processes."""

    def __init__(self, items: Sequence[Item], placements: Placements) -> None:
        self._items, self._placements = items, placements

    def read(self, pick: Pick) -> dict[str, torch.Tensor]:
        """Pixels (B, 3, H, W) by role."""
        return {role: torch.stack([self._read(i, role, f) for i, f in pick.views]) for role in self._items[pick.indices[0]].pictures}

    def _read(self, index: int, role: str, flipped: bool) -> torch.Tensor:
        return read_pixels(self._items[index].pictures[role].file, self._placements[index][role], flipped=flipped)


class LivePictures:
    """Pictures read and encoded for each batch, with loading processes ahead of the step.

    Args:
        upcoming: The pick of a position; needed for loading processes only.
        workers: Loading processes; 0 reads in the trainer itself.
    """

    def __init__(
        self,
        family: Family,
        items: Sequence[Item],
        placements: Placements,
        *,
        prompts: PromptSource,
        upcoming: Callable[[int], Pick] | None = None,
        workers: int = 0,
    ) -> None:
        self._family, self._prompts, self._sizes = family, prompts, Sizes(family, items, placements)
        self._reader, self._upcoming, self._workers = PixelReader(items, placements), upcoming, workers
        self._ahead: Iterator[tuple[Pick, dict[str, torch.Tensor]]] | None = None

    def fetch(self, pick: Pick) -> Batch:
        """Pixels from the loading processes (or read now), encoded now."""
        pixels = self._pixels(pick)
        moments = {role: self._family.encode_pictures(p) for role, p in pixels.items()}
        return compose_batch(pick, self._sizes.items, self._prompts, moments, lambda role: self._sizes.tell(role, pick.views))

    def _pixels(self, pick: Pick) -> dict[str, torch.Tensor]:
        if not self._workers or self._upcoming is None:
            return self._reader.read(pick)
        if self._ahead is None:
            ahead = _Ahead(self._reader, self._upcoming, pick.position)
            self._ahead = iter(torch.utils.data.DataLoader(ahead, batch_size=None, num_workers=self._workers))
        found, pixels = next(self._ahead)
        assert found == pick, (found.position, pick.position)
        return pixels


class _Ahead(torch.utils.data.IterableDataset):
    """Micro-steps from `first` on, dealt to the loading processes in turn, which is the order the loader asks them in."""

    def __init__(self, reader: PixelReader, upcoming: Callable[[int], Pick], first: int) -> None:
        self._reader, self._upcoming, self._first = reader, upcoming, first

    def __iter__(self) -> Iterator[tuple[Pick, dict[str, torch.Tensor]]]:
        info = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        position = self._first + (info.id if info else 0)
        while True:
            pick = self._upcoming(position)
            yield pick, self._reader.read(pick)
            position += info.num_workers if info else 1


def encode_prompts(
    family: Family, texts: Sequence[str], cache: EncodedCache, *, device: torch.device, share: dict[str, Any]
) -> PromptSource:
    """All texts encoded; `share` has what `fill_cache` needs to know of the ranks."""
    identity = family.prompt_identity()
    keys = {compute_key(FORMAT, "prompt", identity, text): text for text in dict.fromkeys(texts)}
    entries = fill_cache(cache, list(keys), lambda key: {n: t[0] for n, t in family.encode_prompts([keys[key]]).items()}, **share)
    if entries is None:
        return StoredPrompts(cache, {text: key for key, text in keys.items()}, device)
    rows = {text: row for row, text in enumerate(keys.values())}
    names = next(iter(entries.values())).keys()
    stacked = {name: torch.stack([entries[key][name] for key in keys]) for name in names}
    return EncodedPrompts(rows, stacked, device)


def encode_pictures(
    family: Family,
    items: Sequence[Item],
    placements: Placements,
    *,
    cache: EncodedCache,
    prompts: PromptSource,
    mirrored: bool,
    device: torch.device,
    share: dict[str, Any],
) -> Source:
    """All pictures encoded, stacked by bucket on the device or left on the disk; one that stands in several samples is encoded once."""
    identity, variants = family.picture_identity(), (False, True) if mirrored else (False,)
    wanted: dict[str, tuple[Shown, Placement, bool]] = {}

    def name(index: int, role: str, flipped: bool) -> str:
        shown, placement = items[index].pictures[role], placements[index][role]
        key = compute_key(FORMAT, "picture", identity, shown.id, placement, flipped)
        wanted[key] = (shown, placement, flipped)
        return key

    names = {(i, role, f): name(i, role, f) for i, item in enumerate(items) for role in item.pictures for f in variants}

    def encode(key: str) -> Tensors:
        shown, placement, flipped = wanted[key]
        mean, deviation = family.encode_pictures(read_pixels(shown.file, placement, flipped=flipped)[None])
        return {"mean": mean[0], "deviation": deviation[0]}

    entries = fill_cache(cache, list(wanted), encode, **share)
    sizes = Sizes(family, items, placements)
    if entries is None:
        return StoredPictures(prompts, cache=cache, keys=names, sizes=sizes, device=device)
    return _stack_pictures(sizes, prompts, entries, names=names, variants=variants, device=device)


def _stack_pictures(
    sizes: Sizes,
    prompts: PromptSource,
    entries: dict[str, Tensors],
    *,
    names: dict[tuple[int, str, bool], str],
    variants: tuple[bool, ...],
    device: torch.device,
) -> EncodedPictures:
    items = sizes.items
    members: dict[Hashable, list[int]] = {}
    for index, item in enumerate(items):  # those that judge may lack a role, so that they never share a batch with the others
        bucket = next(iter(sizes.placements[index].values())).bucket
        members.setdefault((bucket, *item.pictures), []).append(index)
    places = {index: (group, row) for group, indices in members.items() for row, index in enumerate(indices)}
    home = choose_home((t for entry in entries.values() for t in entry.values()), device)
    groups: dict[Hashable, dict[str, Any]] = {}
    for group, indices in members.items():
        ordered = [(i, f) for i in indices for f in variants]
        roles, captioned = items[indices[0]].pictures, items[indices[0]].captions
        groups[group] = {
            "variants": len(variants),
            "moments": {role: _stack_moments([entries[names[i, role, f]] for i, f in ordered], home) for role in roles},
            "conditions": {role: {n: t.to(home) for n, t in sizes.tell(role, ordered).items()} for role in captioned},
        }
    return EncodedPictures(items, prompts, groups=groups, places=places, device=device)


def choose_home(tensors: Iterable[torch.Tensor], device: torch.device) -> torch.device:
    """The device, or the machine's memory where they would take too much of the device's."""
    size = sum(t.numel() * t.element_size() for t in tensors)
    return device if size <= MAX_ON_DEVICE else torch.device("cpu")


def _stack_moments(found: list[Tensors], home: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    mean, deviation = (torch.stack([entry[part] for entry in found]).to(home) for part in ("mean", "deviation"))
    return mean, deviation
