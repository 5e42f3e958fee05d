"""The trash of data sets: put away, listed, brought back, deleted for good, and gone after 30 days."""

from __future__ import annotations

import os
import time

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import trash
from studio.datasets.ingest import ingest_folder
from studio.datasets.merging import copy_dataset
from tests.studio.datasets.drawing import draw_figure, encode

DAY_S = 24 * 3600


@pytest.fixture
def foxes(store, tmp_path):
    """A data set of two drawings with words."""
    folder = tmp_path / "Foxes"
    folder.mkdir()
    for seed in (1, 2):
        (folder / f"{seed}.png").write_bytes(encode(draw_figure(seed, 64)))
        (folder / f"{seed}.txt").write_text(f"fox {seed}", "utf-8")
    info = store.create("Foxes")
    ingest_folder(store, info.id, folder)
    return store.update(info.id, trigger_word="zog").id


def test_what_is_put_away_comes_back_as_it_was(store, foxes):
    before = store.info(foxes), store.fingerprint(foxes)
    one = trash.trash_dataset(store, foxes)
    assert (one.id, one.name, one.rows, one.days_left, one.shared) == ("foxes", "Foxes", 2, 29, 0)
    assert one.bytes > 2 * len(encode(draw_figure(1, 64)))
    assert store.list() == []
    with pytest.raises(DarkroomError, match="no data set called “foxes”"):
        store.info(foxes)
    assert trash.list_trash(store) == [one]
    assert trash.restore_dataset(store, "foxes") == before[0]
    assert (store.fingerprint(foxes), trash.list_trash(store)) == (before[1], [])
    assert all(store.path(foxes, row.id).is_file() for row in store.pictures(foxes))


def test_an_id_in_the_trash_is_not_given_to_another(store, foxes):
    trash.trash_dataset(store, foxes)
    assert store.create("Foxes").id == "foxes-2"
    assert trash.restore_dataset(store, "foxes").id == "foxes"


def test_of_linked_files_is_told_that_they_are_not_freed(store, foxes):
    copy = copy_dataset(store, foxes).info.id
    one = trash.trash_dataset(store, foxes)
    assert 0 < one.shared < one.bytes
    assert trash.describe_size(one) == (
        f"2 pictures, {one.bytes / 1e6:,.1f} MB, of which {one.shared / 1e6:,.1f} MB are shared with another data set and stay"
    )
    trash.delete_for_good(store, foxes)
    assert all(store.path(copy, row.id).read_bytes() for row in store.pictures(copy))


def test_what_is_deleted_for_good_is_gone(store, foxes):
    trash.trash_dataset(store, foxes)
    trash.delete_for_good(store, foxes)
    assert trash.list_trash(store) == []
    assert not list(store.workspace.trash.iterdir())
    assert not list(store.workspace.temporary.iterdir())
    for act in (trash.restore_dataset, trash.delete_for_good, trash.find_trashed):
        with pytest.raises(DarkroomError, match="no data set “foxes” in the trash"):
            act(store, "foxes")


@pytest.mark.parametrize("name", ["../datasets/foxes", "", "."])
def test_only_the_trash_is_deleted_from(store, foxes, name):
    with pytest.raises(DarkroomError, match="is not the id of"):
        trash.delete_for_good(store, name)
    assert store.info(foxes).num_pictures == 2


@pytest.mark.parametrize(("days", "left"), [(0.5, 29), (29.5, 0), (30.5, None)])
def test_after_thirty_days_it_goes_for_good(store, foxes, days, left):
    trash.trash_dataset(store, foxes)
    found = trash.list_trash(store, now=time.time() + days * DAY_S)
    assert [one.days_left for one in found] == ([] if left is None else [left])
    assert (store.workspace.trash / foxes).exists() == (left is not None)


def test_what_a_killed_studio_left_behind_goes_after_two_days(store, foxes):
    left, working = store.workspace.temporary / "fetched-1", store.workspace.temporary / "job-2"
    for folder in (left, working):
        folder.mkdir()
        (folder / "part").write_bytes(b"x")
    (store.workspace.temporary / "export.zip").write_bytes(b"x")
    long_ago = time.time() - 3 * DAY_S
    for path in (left, left / "part", working, store.workspace.temporary / "export.zip"):
        os.utime(path, (long_ago, long_ago))
    trash.trash_dataset(store, foxes)
    assert trash.clear_leftovers(store) == 2
    assert [path.name for path in store.workspace.temporary.iterdir()] == ["job-2"]
    assert trash.clear_leftovers(store, now=time.time() + 31 * DAY_S) == 2
    assert not list(store.workspace.trash.iterdir())
