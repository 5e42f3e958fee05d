"""What a run learns from, encoded once where it may be, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from backends.contract.base_models import find_base_model
from backends.contract.buckets import Bucket, Placement
from backends.contract.caption_reading import name_samples
from backends.contract.errors import DarkroomError
from backends.engine.cache import EncodedCache
from backends.engine.ground import Ground, cache_folder, share_of
from backends.engine.masks import add_masks
from backends.engine.order import Order, Pick, SampleOrder
from backends.engine.pictures import list_buckets
from backends.engine.sources import LivePictures, LivePrompts, Source, TokenPrompts, encode_pictures, encode_prompts
from backends.engine.stored import StoredPictures, StoredPrompts
from backends.engine.telling import PromptSource
from backends.families.protocol import Family
from backends.methods.protocol import Item, Method


def list_run_buckets(config: Any) -> list[Bucket]:
    """The sizes that a run's pictures are brought to."""
    base = find_base_model(config.pretrained_model_name_or_path)
    return list_buckets(resolution=config.resolution, step=base.bucket_step if base else 64, square=config.center_crop)


@dataclass
class Data:
    """Where batches come from, for training and for judging, and what samples are told; `training` is how many samples are learnt from."""

    order: Order
    source: Source
    judge_source: Source
    sample_prompts: Callable[[], PromptSource]
    groups: list[Hashable]
    training: int


def build_data(ground: Ground, family: Family, method: Method, items: list[Item], placements: list[dict[str, Placement]]) -> Data:
    """Encodes what may be encoded once, and frees the encoders where they are no longer needed."""
    c, a = ground.config, ground.accelerator
    training = [i for i, item in enumerate(items) if not item.held_out]
    if not training:
        raise DarkroomError("All pictures are held out; none is left to train on. Add pictures, or lower Held out.", field="held_out_share")
    groups: list[Hashable] = [next(iter(placement.values())).bucket for placement in placements]
    order = _TrainingOrder(training, items, groups, ground, method)
    live_prompts: PromptSource = LivePrompts(family)
    trains_text = getattr(c, "train_text_encoder", False)
    if trains_text:
        prompts: PromptSource = TokenPrompts(family, a.device)
    elif c.cache_latents:
        prompts = encode_all_prompts(ground, family, method, items)
        live_prompts = prompts
    else:
        prompts = live_prompts
    if prompts is not live_prompts or not c.cache_latents:
        items = [item.in_any_order() for item in items]
    if not c.cache_latents:
        workers = c.dataloader_num_workers
        upcoming = partial(order.pick, rank=a.process_index)
        source = LivePictures(family, items, placements, prompts=prompts, upcoming=upcoming, workers=workers)
        judging = LivePictures(family, items, placements, prompts=prompts)
        learnt, judged = (add_masks(one, c, items, placements) for one in (source, judging))
        return Data(order, learnt, judged, lambda: live_prompts, groups, len(training))
    encoded = encode_pictures(
        family,
        items,
        placements,
        cache=EncodedCache(cache_folder(ground.run)),
        prompts=prompts,
        mirrored=c.random_flip,
        device=a.device,
        share=share_of(ground, "pictures"),
    )
    if not trains_text:
        family.free_encoders()
    if isinstance(encoded, StoredPictures):
        encoded.read_ahead(partial(order.pick, rank=a.process_index))
        ground.reporter.notice("The encoded pictures are too many for the memory: they are read from the disk, ahead of each step.")
    masked = add_masks(encoded, c, items, placements)
    return Data(order, masked, masked, lambda: live_prompts, groups, len(training))


class _TrainingOrder(SampleOrder):
    """Orders the training samples only, but speaks of them by their number among all samples."""

    def __init__(self, training: list[int], items: list[Item], groups: list[Hashable], ground: Ground, method: Method) -> None:
        super().__init__(
            [groups[i] for i in training],
            seed=ground.seed,
            batch_size=ground.config.train_batch_size,
            ranks=ground.accelerator.num_processes,
            flip_share=0.5 if ground.config.random_flip else 0.0,
            dropped=method.plan_drops(),
            names=name_samples(next(iter(items[i].pictures.values())).id for i in training),
        )
        self._training = training

    def pick(self, position: int, rank: int = 0) -> Pick:
        """The samples of `rank` at micro-step `position`, by their numbers among all samples."""
        found = super().pick(position, rank)
        return replace(found, indices=[self._training[i] for i in found.indices])


def encode_all_prompts(ground: Ground, family: Family, method: Method, items: list[Item]) -> PromptSource:
    """Captions, in all orders in which they are read, sample prompts and the empty prompt."""
    plans = [*method.plan_samples(items), *method.plan_validation(items)]
    texts = [text for item in items for text in item.list_texts()] + [plan.text for plan in plans] + [""]
    found = encode_prompts(
        family, texts, EncodedCache(cache_folder(ground.run)), device=ground.accelerator.device, share=share_of(ground, "captions")
    )
    if isinstance(found, StoredPrompts):
        ground.reporter.notice("The encoded captions are too many for the memory: they are read from the disk at each step.")
    return found
