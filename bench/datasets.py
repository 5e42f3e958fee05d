"""What the size of a data set costs: `python -m bench.datasets`.

Checking pictures of 1,024 px against the mere decoding and hashing of the same files on the same cores, in turns; ten thousand
small pictures; and a number of edit pairs from import to search, each step in a process of its own, with its time and peak memory.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from studio.datasets import captions
from studio.datasets.checks import check_dataset
from studio.datasets.formats.write_out import convert_folder, export_table
from studio.datasets.ingest import ingest_folder
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace

CORES = os.cpu_count() or 1
WORDS = ("night", "winter", "blue", "bigger", "red", "an oil painting", "rain", "gold", "smaller", "a drawing")
Told = dict[str, object]


def draw(seed: int, side: int) -> Image.Image:
    """A picture like no other: soft fields of colour with an edge, as photographs have."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    edge = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).resize((side // 3, side // 3), Image.Resampling.NEAREST)
    soft.paste(edge, tuple(int(v) for v in rng.integers(0, side - side // 3, 2)))
    if side >= 512:  # grain, so that a file has the size that a photograph's has
        grain = rng.integers(-6, 7, (side, side, 3), np.int16)
        soft = Image.fromarray(np.clip(np.asarray(soft, np.int16) + grain, 0, 255).astype(np.uint8))
    return soft


def write_pictures(folder: Path, side: int, suffix: str, seeds: range) -> None:
    """Pictures by their numbers, with a caption each."""
    for seed in seeds:
        draw(seed, side).save(folder / f"{seed:06d}.{suffix}", quality=90)
        (folder / f"{seed:06d}.txt").write_text(f"a field {seed}, {WORDS[seed % len(WORDS)]}")


def write_pairs(folder: Path, side: int, seeds: range) -> None:
    """Pairs by their numbers, as two folders."""
    for seed in seeds:
        before = draw(seed, side)
        before.save(folder / "input_images" / f"{seed:06d}.png")
        Image.eval(before, lambda value: 255 - value // 2).save(folder / "output_images" / f"{seed:06d}.png")


def spread(function: Callable[[range], None], count: int) -> None:
    """The function over all numbers, on all cores."""
    parts = [range(start, min(start + 200, count)) for start in range(0, count, 200)]
    with ProcessPoolExecutor(CORES, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(function, parts))


def decode_and_hash(paths: list[Path]) -> None:
    """The least that anybody must do who wants to know that files are whole."""
    for path in paths:
        data = path.read_bytes()
        hashlib.sha256(data).hexdigest()
        Image.open(io.BytesIO(data)).load()


def decode_all(folder: Path) -> None:
    """`decode_and_hash` on all cores."""
    paths = sorted((folder / "images").glob("*.png"))
    with ProcessPoolExecutor(CORES, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(decode_and_hash, [paths[start : start + 16] for start in range(0, len(paths), 16)]))


def forget_measures(store: DatasetStore) -> None:
    """As before the first check: nothing is known of any picture."""
    shutil.rmtree(store.workspace.cache, ignore_errors=True)
    store.workspace.cache.mkdir()


def compare_check(folder: Path, count: int, side: int, rounds: int) -> Told:
    """A first check, a second one, and the baseline, in turns."""
    store = DatasetStore(open_workspace(folder / "workspace"))
    source = folder / "pictures"
    source.mkdir()
    spread(partial(write_pictures, source, side, "jpg"), count)
    dataset_id = store.create("Pictures").id
    started = time.perf_counter()
    ingest_folder(store, dataset_id, source)
    imported = time.perf_counter() - started
    ways = {
        "decode": lambda: decode_all(store.workspace.dataset(dataset_id)),
        "first check": lambda: (forget_measures(store), check_dataset(store, dataset_id)),
        "next check": lambda: check_dataset(store, dataset_id),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started, before = time.perf_counter(), cpu_time()
            way()
            seconds[name].append(time.perf_counter() - started)
            spent[name].append(cpu_time() - before)
    told = {name: f"{show(s)} s, CPU {show(spent[name])} s" for name, s in seconds.items()}
    for title, kept in (("clock", seconds), ("CPU time", spent)):
        shares = [d / c for d, c in zip(kept["decode"], kept["first check"], strict=True)]
        told[f"first check's speed / decoding's, by {title}"] = show(shares, 2)
    return {"pictures": count, "px": side, "import": f"{imported:.1f} s", **told}


def cpu_time() -> float:
    """Seconds of this process and of all its processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def show(values: list[float], digits: int = 1) -> str:
    """Least, median and most."""
    return " / ".join(f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))


def first_page(store: DatasetStore, dataset_id: str) -> object:
    """What the Dataset page asks for before it shows anything."""
    from studio.web.dataset_routes import describe_dataset

    return json.dumps(describe_dataset(store, dataset_id))


STEPS: dict[str, Callable[[DatasetStore, str, Path], object]] = {
    "import": lambda store, dataset_id, source: ingest_folder(store, dataset_id, source),
    "first page": lambda store, dataset_id, _: first_page(store, dataset_id),
    "one edit": lambda store, dataset_id, _: captions.set_caption(
        store, dataset_id, store.pictures(dataset_id, store.info(dataset_id).num_pictures // 2, 1)[0].id, "make it night", None
    ),
    "search": lambda store, dataset_id, _: list(captions.preview_replace(store, dataset_id, "night", "day")),
    "first check": lambda store, dataset_id, _: check_dataset(store, dataset_id),
    "next check": lambda store, dataset_id, _: check_dataset(store, dataset_id),
    "convert": lambda store, dataset_id, source: convert_folder(source, source.parent / "converted.parquet", "parquet"),
    "shards": lambda store, dataset_id, source: export_table(store, dataset_id, source.parent / "shards", "shards"),
}


def take_step(name: str, folder: Path) -> Told:
    """One step in this process, which must have done nothing else."""
    store = DatasetStore(open_workspace(folder / "workspace"))
    dataset_id = store.list()[0].id
    if name == "first page":
        import studio.web.dataset_routes  # noqa: F401 - the server has done so long before
    least = float("inf")
    for _ in range(5 if name in ("first page", "one edit", "search") else 1):
        started = time.perf_counter()
        STEPS[name](store, dataset_id, folder / "pairs")
        least = min(least, time.perf_counter() - started)
    kinds = {"own": resource.RUSAGE_SELF, "of one of its processes": resource.RUSAGE_CHILDREN}
    peak = {who: resource.getrusage(kind).ru_maxrss / 1024 for who, kind in kinds.items()}
    return {"seconds": round(least, 3)} | {f"peak MiB, {who}": round(value) for who, value in peak.items() if value > 1}


def walk_pairs(folder: Path, count: int, side: int) -> Iterator[Told]:
    """Pairs from import to search."""
    store = DatasetStore(open_workspace(folder / "workspace"))
    source = folder / "pairs"
    for part in ("input_images", "output_images"):
        (source / part).mkdir(parents=True)
    spread(partial(write_pairs, source, side), count)
    said = ((f"{n:06d}.png", f"make it {WORDS[n % len(WORDS)]}") for n in range(count))
    sides = ("input_images", "output_images")
    lines = (json.dumps({"input_image": f"{sides[0]}/{n}", "instruction": text, "output_image": f"{sides[1]}/{n}"}) for n, text in said)
    (source / "metadata.jsonl").write_text("\n".join(lines))
    store.create("Pairs", "pairs")
    for name in STEPS:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield {"pairs": count, "px": side, "step": name} | pool.submit(take_step, name, folder).result()


def main() -> None:
    """Writes one JSON line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=1000, help="pictures of 1,024 px")
    parser.add_argument("--small", type=int, default=10_000, help="pictures of 256 px")
    parser.add_argument("--pairs", type=int, default=50_000, help="edit pairs of 64 px")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()

    def tell(value: Told) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()

    for count, side, rounds in ((given.large, 1024, given.rounds), (given.small, 256, 1)):
        if count:
            with tempfile.TemporaryDirectory() as name:
                tell(compare_check(Path(name), count, side, rounds))
    if given.pairs:
        with tempfile.TemporaryDirectory() as name:
            for told in walk_pairs(Path(name), given.pairs, 64):
                tell(told)


if __name__ == "__main__":
    main()
