"""A workspace, a store and a data set to fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studio.datasets.ingest import Outcome, ingest_upload
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace

Drop = Callable[..., list[Outcome]]


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(open_workspace(tmp_path / "workspace"))


@pytest.fixture
def dataset(store: DatasetStore) -> str:
    return store.create("Test").id


@pytest.fixture
def drop(store: DatasetStore, dataset: str, tmp_path: Path) -> Drop:
    """Drops bytes on the data set under a name, as the page does."""
    counter = iter(range(1_000_000))

    def drop_bytes(name: str, data: bytes) -> list[Outcome]:
        path = tmp_path / f"upload-{next(counter)}"
        path.write_bytes(data)
        return ingest_upload(store, dataset, name, path)

    return drop_bytes
