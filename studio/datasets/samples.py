"""The sample pictures and sample pairs that came with the studio, as a data set of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets.ingest import ingest_folder
from studio.datasets.store import DatasetInfo, DatasetStore

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
NAMES = {"zog": "Zog the mascot", "glorp": "Glorp the blob"}
PAIR_NAMES = {"edits": "Sample edits"}


@dataclass(frozen=True)
class SamplePairs:
    """Sample pairs that are there: the folder's name, their name on screen, and how many they are."""

    key: str
    name: str
    count: int


def find_sample_pairs() -> list[SamplePairs]:
    """Every folder of samples that has a list of pairs in it; a folder `..._held_out` judges and is not offered."""
    found = []
    for folder in sorted(SAMPLES.iterdir()) if SAMPLES.is_dir() else []:
        listed = folder / "metadata.jsonl"
        if (folder / "input_images").is_dir() and listed.is_file() and not folder.name.endswith("held_out"):
            count = sum(bool(line.strip()) for line in listed.read_text("utf-8").splitlines())
            found.append(SamplePairs(folder.name, PAIR_NAMES.get(folder.name, folder.name.replace("_", " ").capitalize()), count))
    return found


def create_sample_dataset(store: DatasetStore, name: str = "zog") -> DatasetInfo:
    """A new data set of sample pictures with their captions and trigger word, or of sample pairs with their instructions."""
    info = begin_sample_dataset(store, name)
    ingest_folder(store, info.id, SAMPLES / name)
    return store.info(info.id)


def begin_sample_dataset(store: DatasetStore, name: str) -> DatasetInfo:
    """The data set for the sample pictures in `SAMPLES / name`, still empty."""
    pairs = {sample.key: sample.name for sample in find_sample_pairs()}
    if name not in NAMES | pairs:
        raise DarkroomError(f"There are no sample pictures called “{name}”. There are: {', '.join(NAMES | pairs)}.")
    folder = SAMPLES / name
    if not folder.is_dir():
        raise DarkroomError(f"The sample pictures are missing from this installation ({folder}). Install Darkroom again.")
    if name in pairs:
        return store.create(pairs[name], "pairs")
    return store.update(store.create(NAMES[name]).id, trigger_word=name)
