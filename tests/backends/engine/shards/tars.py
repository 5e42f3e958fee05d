"""Shards for tests: tars of small random pictures or pairs, as WebDataset has them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

Members = dict[str, bytes]


def draw(seed: int, size: tuple[int, int] = (64, 64), kind: str = "PNG") -> bytes:
    random = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, samples: Iterable[tuple[str, Members]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, members in samples:
            for rest, data in members.items():
                info = tarfile.TarInfo(f"{key}.{rest}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def pictures(count: int, *, first: int = 0, size: tuple[int, int] = (64, 64)) -> Iterator[tuple[str, Members]]:
    for number in range(first, first + count):
        yield f"{number:06d}", {"png": draw(number, size), "txt": f"zog number {number}".encode()}


def draw_mask(covered: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """White in so many columns from the left, black in the others."""
    values = np.zeros((size[1], size[0]), np.uint8)
    values[:, :covered] = 255
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def masked(covered: int, every: int = 2):
    """Pictures of which each second one has a mask."""

    def kind(count: int, *, first: int = 0) -> Iterator[tuple[str, Members]]:
        for number, (key, members) in enumerate(pictures(count, first=first)):
            yield key, members | ({"mask.png": draw_mask(covered)} if number % every == 0 else {})

    return kind


def pairs(count: int, *, first: int = 0, size: tuple[int, int] = (64, 64)) -> Iterator[tuple[str, Members]]:
    for number in range(first, first + count):
        words = json.dumps({"instruction": f"make it {number}"}).encode()
        yield f"{number:06d}", {"input.png": draw(number, size), "output.png": draw(number + 10**6, size), "json": words}


def write_shards(folder: Path, kind=pictures, *, shards: int = 3, each: int = 8) -> Path:
    for number in range(shards):
        write_tar(folder / f"shard-{number:06d}.tar", kind(each, first=number * each))
    return folder
