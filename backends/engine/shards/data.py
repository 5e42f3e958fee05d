"""A run that learns from shards: who judges is written out once, everything else is read in place and encoded as it comes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import partial

from backends.contract import files
from backends.contract.buckets import Placement
from backends.contract.errors import DarkroomError
from backends.contract.pictures import PictureFile
from backends.contract.rundir import RunDir
from backends.contract.settings.pictures import wants_pairs
from backends.contract.shards import find_shards
from backends.engine.data import Data, list_run_buckets
from backends.engine.ground import Ground, cache_folder, ensure_on_rank_0, share_of
from backends.engine.masks import add_masks, mask_stream
from backends.engine.shards.order import Dealing, ShardOrder
from backends.engine.shards.stream import MOST_HELD_OUT, BucketedShards, ShardSet, StreamedItems, StreamedPlacements, open_shards
from backends.engine.sources import LivePictures, LivePrompts, Source, TokenPrompts
from backends.engine.telling import PromptSource
from backends.families.protocol import Family
from backends.methods.protocol import Item, Method, Row


def open_samples(ground: Ground) -> ShardSet | None:
    """The samples of the folder with shards that the settings name, or None where the run's pictures are files.

    Those that judge are in the run's manifest afterwards, beside what the shards were: a run goes on with the same ones only.

    Raises:
        DarkroomError: When a shard is damaged or another one than when the run began, or the settings ask for what shards cannot give.
    """
    run, c = ground.run, ground.config
    frozen = run.root / "shards.json"
    shards = find_shards(getattr(c, "train_data_dir", None))
    if not shards or (run.manifest.is_file() and not frozen.is_file()):
        return None
    if getattr(c, "debug_loss", False):
        raise DarkroomError(
            "“Loss of each picture” asks about every picture again and again, and shards hold too many. Switch it off.", field="debug_loss"
        )
    samples = open_shards(
        shards,
        cache_folder(run).parent / "shards",
        pairs=wants_pairs(c),
        held_out_share=c.held_out_share,
        limit=c.max_train_samples,
        share=share_of(ground, "shards"),
    )
    ensure_on_rank_0(ground, lambda: _freeze(run, samples))
    if (files.read_json(frozen) or {}).get("hash") != samples.fingerprint:
        raise DarkroomError(
            f"The shards in {shards[0].parent} are not those that this run began with. Put the former ones back, or start a new run.",
            field="train_data_dir",
        )
    if samples.num_chosen:
        judging = min(samples.num_chosen, MOST_HELD_OUT)
        ground.reporter.notice(
            f"{samples.num_chosen:,} samples of the shards were chosen to judge: none of them is learnt from, {judging:,} of them judge, "
            "and Held out says nothing."
        )
    ground.reporter.notice(
        f"{len(samples):,} samples are read from {len(shards):,} shards as they are needed, and encoded each time: nothing of them is kept."
    )
    return samples


def build_streamed_data(
    ground: Ground, family: Family, method: Method, samples: ShardSet, *, judging: tuple[list[Item], list[dict[str, Placement]]]
) -> Data:
    """Batches from shards; `judging` are the samples that judge, as files, and how they are brought to their buckets."""
    c, a = ground.config, ground.accelerator
    buckets = list_run_buckets(c)
    streamed = StreamedItems(samples, partial(_build_items, method))
    how = Dealing(ground.seed, c.train_batch_size, a.num_processes, 0.5 if c.random_flip else 0.0, method.plan_drops())
    order = ShardOrder(BucketedShards(samples, buckets), how)
    live = LivePrompts(family)
    prompts: PromptSource = TokenPrompts(family, a.device) if getattr(c, "train_text_encoder", False) else live
    shown_as = StreamedPlacements(streamed, buckets)
    source: Source = LivePictures(
        family, streamed, shown_as, prompts=prompts, upcoming=partial(order.pick, rank=a.process_index), workers=c.dataloader_num_workers
    )
    if getattr(c, "masked_loss", False) and samples.have_masks:
        source = mask_stream(source, c, streamed, shown_as)
    items, placements = judging
    groups: list[Hashable] = [next(iter(placement.values())).bucket for placement in placements]
    judged = add_masks(LivePictures(family, items, placements, prompts=prompts), c, items, placements)
    return Data(order, source, judged, lambda: live, groups, len(samples))


def _build_items(method: Method, rows: Sequence[Row]) -> list[Item]:
    return [item.in_any_order() for item in method.build_items(rows)]


def _freeze(run: RunDir, samples: ShardSet) -> None:
    """Writes out who judges; the last file says that all is there."""
    frozen = run.root / "shards.json"
    if frozen.is_file():
        return
    rows = [_write_out(run, row) for row in samples.held_out_rows()]
    files.write_text(run.manifest, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    files.write_json(frozen, {"hash": samples.fingerprint, "training": len(samples), "held_out": len(rows)})


def _write_out(run: RunDir, row: Row) -> dict[str, object]:
    told = {"id": row.id, "caption": row.caption, "width": row.width, "height": row.height, "held_out": True}
    told["file"] = _copy(run, row.file, row.id)
    mask = row.extra.get("mask_file")
    if mask is not None:
        told |= {"mask_file": _copy(run, mask, f"{row.id}_mask"), "mask_id": f"{row.id} mask"}
    before = row.extra.get("input_file")
    return told if before is None else told | {"input_file": _copy(run, before, f"{row.id}_before"), "input_id": f"{row.id} before"}


def _copy(run: RunDir, file: PictureFile, stem: str) -> str:
    """The picture as a file of the run's own; which kind it is its bytes say."""
    folder = run.root / "pictures"
    folder.mkdir(exist_ok=True)
    with file.open("rb") as stream:
        (folder / f"{stem}.picture").write_bytes(stream.read())
    return str(folder / f"{stem}.picture")
