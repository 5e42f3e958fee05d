"""What samples in shards cost a trainer: `python -m bench.shards`.

Real shards of pairs: looking through them once, and reading batches from them, against reading the same pairs from files of their own,
in turns. And lists of as many samples as no disk here would hold, made up without their shards: opening, picking, and going on from far
inside a run, in a process of its own, with its peak memory.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from backends.contract.buckets import compute_buckets
from backends.engine.pictures import place_item
from backends.engine.shards.index import SAMPLE, index_shard
from backends.engine.shards.order import Dealing, ShardOrder
from backends.engine.shards.stream import BucketedShards, ShardSet, StreamedItems, StreamedPlacements
from backends.engine.sources import PixelReader
from backends.methods.protocol import Item, Row, Shown
from bench.datasets import draw
from bench.turns import summarize, take_turns

BATCH = 8
SIZES = ((1024, 1024), (832, 1216), (1216, 832), (896, 1152))


def write_shard(path: Path, files: Path, side: int, numbers: range) -> None:
    """Pairs by their numbers in one tar, and as files of their own."""
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            for part, seed in (("input", number), ("output", number + 10**6)):
                buffer = io.BytesIO()
                draw(seed, side).save(buffer, "JPEG", quality=90)
                (files / f"{number:08d}.{part}.jpg").write_bytes(buffer.getvalue())
                _add(tar, f"{number:08d}.{part}.jpg", buffer.getvalue())
            _add(tar, f"{number:08d}.txt", b"make it night")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def build_items(rows: list[Row]) -> list[Item]:
    """Pairs, as InstructPix2Pix has them."""
    sides = [{"after": row.file, "before": row.extra["input_file"]} for row in rows]
    return [
        Item(r.id, {role: Shown(r.id, file, r.width, r.height) for role, file in side.items()}, {"after": r.caption}, False)
        for r, side in zip(rows, sides, strict=True)
    ]


def compare_reading(folder: Path, pairs: int, side: int, rounds: int) -> dict[str, object]:
    """Batches of pixels from shards and from files of their own."""
    files = folder / "files"
    files.mkdir()
    shards = [folder / f"shard-{number:06d}.tar" for number in range(4)]
    for number, shard in enumerate(shards):
        write_shard(shard, files, side, range(number * pairs // 4, (number + 1) * pairs // 4))
    began = time.perf_counter()
    indexes = [index_shard(shard, folder / "cache", pairs=True) for shard in shards]
    looked = time.perf_counter() - began
    samples = ShardSet(shards, indexes, held_out_share=0, limit=None)
    buckets = compute_buckets(side, 64)
    items = StreamedItems(samples, build_items)  # type: ignore[arg-type]
    order = ShardOrder(BucketedShards(samples, buckets), Dealing(seed=1, batch_size=BATCH))
    own = [_own_row(files, number, side) for number in range(pairs)]
    own_items = build_items(own)
    readers = {
        "shards": PixelReader(items, StreamedPlacements(items, buckets)),
        "files": PixelReader(own_items, [place_item(item, buckets) for item in own_items]),
    }
    positions = dict.fromkeys(readers, 0)

    def walk(name: str, steps: int) -> None:
        for position in range(positions[name], positions[name] + steps):
            readers[name].read(order.pick(position))
        positions[name] += steps

    loops = {name: lambda steps, name=name: walk(name, steps) for name in readers}
    found = take_turns(loops, steps=4, rounds=rounds, warm_up=2)
    return {"pairs": pairs, "px": side, "looked through, pairs a second": round(pairs / looked)} | summarize(found)


def _own_row(files: Path, number: int, side: int) -> Row:
    before, after = (files / f"{number:08d}.{part}.jpg" for part in ("input", "output"))
    return Row(str(number), after, "make it night", side, side, False, {"input_file": before})


def make_up(folder: Path, samples: int, each: int) -> list[Path]:
    """Lists of samples without their shards."""
    random = np.random.default_rng(0)
    made = []
    for number in range(-(-samples // each)):
        rows = np.zeros(min(each, samples - number * each), SAMPLE)
        rows["key"] = random.integers(0, 2**64 - 1, len(rows), np.uint64)
        sizes = np.array(SIZES)[random.integers(0, len(SIZES), len(rows))]
        rows["width"], rows["height"] = sizes[:, 0], sizes[:, 1]
        made.append(folder / f"{number:06d}.npy")
        np.save(made[-1], rows)
    return made


def walk_lists(folder: Path, samples: int, each: int) -> dict[str, object]:
    """Opening, picking and going on, in this process, which must have done nothing else."""
    before = _peak()
    lists = sorted(folder.glob("*.npy"))
    began = time.perf_counter()
    found = ShardSet([path.with_suffix(".tar") for path in lists], lists, held_out_share=0.1, limit=None)
    opened = time.perf_counter() - began
    order = ShardOrder(BucketedShards(found, compute_buckets(1024, 64)), Dealing(seed=1, batch_size=BATCH, ranks=8))
    began, picks = time.perf_counter(), 20_000
    for position in range(picks):
        order.pick(position)
    picked = (time.perf_counter() - began) / picks
    began = time.perf_counter()
    order.pick(samples // (BATCH * 8))  # about the end of the first pass
    return {
        "samples": len(found),
        "lists": len(lists),
        "opened, s": round(opened, 1),
        "a pick, ms, 8 ranks of 8": round(1000 * picked, 3),
        "going on from the end of a pass, s": round(time.perf_counter() - began, 1),
        "peak MiB before": round(before),
        "peak MiB": round(_peak()),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Writes one JSON line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=400, help="in real shards")
    parser.add_argument("--px", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--samples", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000], help="in made-up lists")
    parser.add_argument("--each", type=int, default=10_000, help="samples of a shard")
    given = parser.parse_args()
    if given.pairs:
        with tempfile.TemporaryDirectory() as name:
            _tell(compare_reading(Path(name), given.pairs, given.px, given.rounds))
    for samples in given.samples:
        with tempfile.TemporaryDirectory() as name:
            make_up(Path(name), samples, given.each)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                _tell(pool.submit(walk_lists, Path(name), samples, given.each).result())


def _tell(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
