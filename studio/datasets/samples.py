"""The sample pictures that came with the studio, as a data set of one's own."""

from __future__ import annotations

from pathlib import Path

from backends.contract.errors import DarkroomError
from studio.datasets.ingest import ingest_folder
from studio.datasets.store import DatasetInfo, DatasetStore

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
NAMES = {"zog": "Zog the mascot", "glorp": "Glorp the blob"}


def create_sample_dataset(store: DatasetStore, name: str = "zog") -> DatasetInfo:
    """A new data set of sample pictures with their captions and trigger word."""
    if name not in NAMES:
        raise DarkroomError(f"There are no sample pictures called “{name}”. There are: {', '.join(NAMES)}.")
    folder = SAMPLES / name
    if not folder.is_dir():
        raise DarkroomError(f"The sample pictures are missing from this installation ({folder}). Install Darkroom again.")
    info = store.create(NAMES[name])
    ingest_folder(store, info.id, folder)
    return store.update(info.id, trigger_word=name)
