"""Data sets of very many rows, written straight into its table: pictures share a few files, captions differ."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil

from studio.datasets.rows import ImageFile, make_pair
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore

COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "grey", "white")
PLACES = ("wall", "beach", "street", "kitchen", "forest")


def caption(number: int) -> str:
    """Every tenth is missing, every hundredth says much; all others name a colour, a place and their number."""
    if number % 10 == 9:
        return ""
    words = f"zog number {number}, {COLOURS[number % 8]} background, wooden table, at the {PLACES[number % 5]}"
    return words + ", very detailed" * 12 if number % 100 == 50 else words


def create_many(store: DatasetStore, count: int, name: str = "Many") -> str:
    """Makes the data set and says its id."""
    sample = create_sample_dataset(store, "zog")
    pictures = store.pictures(sample.id)
    made = store.create(name).id
    store.update(made, trigger_word="zog", trigger_place="start")
    folders = [store.workspace.dataset(dataset_id) for dataset_id in (sample.id, made)]
    shutil.copytree(folders[0] / "images", folders[1] / "images", dirs_exist_ok=True)
    with store.index(made).change() as rows:
        for number in range(count):
            like = pictures[number % len(pictures)]
            key = hashlib.sha256(str(number).encode()).hexdigest()[:24]
            text = caption(number)
            by = "" if not text else "captioner" if number % 3 else "person"
            rows.add(dataclasses.replace(like, id=key, name=f"{number:06}.png", text=text, text_by=by, version=1))
    store.delete(sample.id)
    return made


def instruction(number: int) -> str:
    """Every tenth is missing; all others name a colour, a place and their number."""
    return "" if number % 10 == 9 else f"number {number}: make the {PLACES[number % 5]} {COLOURS[number % 8]}"


def create_many_pairs(store: DatasetStore, count: int, name: str = "Many pairs") -> str:
    """Makes a data set of edit pairs, whose last one is a half, and says its id."""
    sample = create_sample_dataset(store, "edits")
    pairs = store.pictures(sample.id, limit=12)
    made = store.create(name, "pairs").id
    folders = [store.workspace.dataset(dataset_id) for dataset_id in (sample.id, made)]
    for image in {image.file for pair in pairs for image in pair.images}:
        shutil.copy(folders[0] / image, folders[1] / image)
    with store.index(made).change() as rows:
        for number in range(count):
            like = pairs[number % len(pairs)]
            key = hashlib.sha256(f"pair {number}".encode()).hexdigest()[:24]
            text = instruction(number)
            by = "" if not text else "draft" if number % 3 else "person"
            named = [dataclasses.replace(image, id=f"{n}{key[1:]}") for n, image in enumerate(like.images)]  # each content comes once
            sides = (ImageFile(), named[1]) if number == count - 1 else (named[0], named[1])
            rows.add(make_pair(key, f"{number:06}", *sides, (text, by, 1)))
    store.delete(sample.id)
    return made
