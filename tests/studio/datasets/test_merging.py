"""Merging and copying: what comes, what comes once, whose words stay, that nothing of the first ones changes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from backends.contract import files
from backends.contract.errors import DarkroomError
from studio.datasets.caption_notes import Score, note_choices, note_score, read_choices, read_score
from studio.datasets.captions import set_caption
from studio.datasets.ingest import ingest_folder
from studio.datasets.merging import copy_dataset, merge_datasets
from studio.datasets.report import read_ignored
from studio.datasets.watch import Stopped, Watch
from tests.conftest import ROOT
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders


def fill(store, tmp_path, name, seeds, words=None):
    """A data set of drawings; `words` by seed."""
    folder = tmp_path / name
    folder.mkdir()
    for number, seed in enumerate(seeds):
        (folder / f"{number:03d}.png").write_bytes(encode(draw_figure(seed, 64)))
        if words and words.get(seed):
            (folder / f"{number:03d}.txt").write_text(words[seed], "utf-8")
    info = store.create(name)
    ingest_folder(store, info.id, folder)
    return info.id


def texts(store, dataset_id):
    return {row.id: row.text for row in store.pictures(dataset_id)}


def test_two_data_sets_become_one_and_stay_as_they_were(store, tmp_path):
    one = fill(store, tmp_path, "one", [1, 2, 3], {1: "a fox"})
    two = fill(store, tmp_path, "two", [4, 5], {4: "an owl"})
    store.update(one, trigger_word="zog")
    before = store.fingerprint(one), store.fingerprint(two)
    merged = merge_datasets(store, [one, two], name="Both")
    assert (merged.info.id, merged.info.num_pictures, merged.info.trigger_word, merged.notes[:1]) == (
        "both",
        5,
        "zog",
        ["2 pictures got a number behind the name, because another has it."],
    )
    assert texts(store, "both") == texts(store, one) | texts(store, two)
    assert [row.name for row in store.pictures("both")] == ["000.png", "001.png", "002.png", "000 (2).png", "001 (2).png"]
    for row in store.pictures("both"):
        assert store.path("both", row.id).is_file()
        assert len(list((tmp_path / "workspace/datasets/both/.originals").glob(f"{row.id}.*"))) == 1
    assert (store.fingerprint(one), store.fingerprint(two)) == before
    store.delete(one)
    assert all(store.path("both", row.id).read_bytes() for row in store.pictures("both"))


def test_the_same_picture_comes_once_and_the_better_words_stay(store, tmp_path):
    one = fill(store, tmp_path, "one", [1, 2, 3], {3: "mine"})
    two = fill(store, tmp_path, "two", [3, 2, 1], {1: "from the second", 3: "another"})
    first = store.pictures(one)[1]
    set_caption(store, one, first.id, "by a machine", first.version, by="captioner")
    other = next(row for row in store.pictures(two) if row.id == first.id)
    set_caption(store, two, other.id, "by a person", other.version)
    merged = merge_datasets(store, [one, two], name="Both")
    assert [row.text for row in store.pictures("both")] == ["from the second", "by a person", "mine"]
    assert (merged.tally.added, len(merged.tally.same)) == (3, 3)
    assert merged.notes == [
        "3 pictures were there already and came once: 000.png, 001.png, 002.png.",
        "2 pictures took the words of a double: 001.png, 000.png.",
        "1 picture had other words in the other data set; the first ones stay: 002.png.",
    ]


def test_rows_are_added_to_a_data_set_that_is_there(store, tmp_path):
    one, two = fill(store, tmp_path, "one", [1, 2]), fill(store, tmp_path, "two", [2, 3])
    merged = merge_datasets(store, [two], into=one)
    assert (merged.info.id, merged.info.num_pictures, len(store.list())) == (one, 3, 2)


def test_pairs_halves_and_awaited_pairs_come_along(store, tmp_path):
    ids = []
    for number, count in enumerate((3, 5)):
        folder = write_folders(tmp_path / f"p{number}", count, listed=True)
        if number:
            (folder / "output_images/004.png").unlink()
            (folder / "output_images/003.png").unlink()
            (folder / "input_images/003.png").unlink()
        info = store.create(f"p{number}", "pairs")
        ingest_folder(store, info.id, folder)
        ids.append(info.id)
    merged = merge_datasets(store, ids, name="Both")
    assert (merged.info.kind, merged.info.num_pictures, merged.info.num_incomplete, merged.info.num_awaited) == ("pairs", 4, 1, 1)
    assert merged.notes[0].startswith("3 pairs were there already and came once")
    assert merge_datasets(store, ids[1:], into="both").info.num_awaited == 1
    assert all(row.text for row in store.pictures("both"))


def test_a_copy_is_changed_without_the_first_one(store, tmp_path):
    one = fill(store, tmp_path, "one", [1, 2], {1: "a fox"})
    (tmp_path / "late.txt").write_text("it waits", "utf-8")
    copied = copy_dataset(store, one)
    assert (copied.info.name, texts(store, copied.info.id)) == ("one (copy)", texts(store, one))
    row = store.pictures(one)[0]
    set_caption(store, copied.info.id, row.id, "other words", None)
    store.remove(copied.info.id, [store.pictures(one)[1].id])
    assert [r.text for r in store.pictures(one)] == ["a fox", ""]
    store.delete(copied.info.id)
    assert all(store.path(one, r.id).is_file() for r in store.pictures(one))


def test_scores_wordings_and_what_is_ignored_come_along(store, tmp_path):
    one, two = (
        fill(store, tmp_path, "one", [1, 2], {1: "a fox", 2: "an owl"}),
        fill(store, tmp_path, "two", [2, 3], {2: "other", 3: "a bear"}),
    )
    for dataset, value in ((one, 0.9), (two, 0.1)):
        with store.index(dataset).change() as rows:
            for row in list(rows.rows()):
                note_score(rows, row.id, row.text, Score(value, "blip"))
                note_choices(rows, row.id, ["one wording", "another"])
    files.write_json(store.workspace.dataset(one) / "ignored_findings.json", ["blurred:1"])
    both = merge_datasets(store, [one, two], name="Both").info.id
    ids = [row.id for row in store.pictures(both)]
    assert [read_score(store.index(both), row_id).value for row_id in ids] == [0.9, 0.9, 0.1]
    assert read_choices(store.index(both), ids[2]) == ["one wording", "another"]
    assert read_ignored(store, both) == {"blurred:1"}
    assert read_ignored(store, copy_dataset(store, one).info.id) == {"blurred:1"}


@pytest.mark.parametrize(
    ("sources", "told"),
    [(["one"], "One data set alone"), (["one", "pairs"], "Merge data sets of one kind"), (["one", "gone"], "no data set called “gone”")],
)
def test_what_cannot_be_merged_is_told_and_nothing_is_left(store, tmp_path, sources, told):
    fill(store, tmp_path, "one", [1])
    ingest_folder(store, store.create("pairs", "pairs").id, write_folders(tmp_path / "p", 1))
    with pytest.raises(DarkroomError, match=told):
        merge_datasets(store, sources, name="Both")
    with pytest.raises(DarkroomError, match="cannot be merged into itself"):
        merge_datasets(store, ["one"], into="one")
    assert len(store.list()) == 2
    assert not list(store.workspace.temporary.iterdir())


@pytest.mark.parametrize("at", [1, 5, 7])
def test_a_merge_that_is_stopped_leaves_nothing(store, tmp_path, at):
    one, two = fill(store, tmp_path, "one", [1, 2]), fill(store, tmp_path, "two", [3, 4])
    seen = []

    def tell(watch):
        seen.append((watch.what, watch.done))
        if len(seen) == at:
            watch.stop()

    with pytest.raises(Stopped):
        merge_datasets(store, [two], into=one, watch=Watch(tell))
        merge_datasets(store, [one, two], name="Both", watch=Watch(tell))
    assert {d.id for d in store.list()} == {one, two}
    assert not list(store.workspace.temporary.iterdir())
    assert store.info(one).num_pictures == (2 if at < 6 else 4)


MERGE = """
import sys, tracemalloc
from pathlib import Path
from studio.datasets.merging import merge_datasets
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
store = DatasetStore(open_workspace(Path(sys.argv[1])))
tracemalloc.start()
merged = merge_datasets(store, sys.argv[2:], name="Both")
print(merged.info.num_pictures, tracemalloc.get_traced_memory()[1])
"""


def test_many_rows_are_merged_in_bounded_memory(store, tmp_path):
    """20,000 rows with one file: what is held grows with neither their number nor their size."""
    one, two = fill(store, tmp_path, "one", [1]), fill(store, tmp_path, "two", [2])
    for number, dataset in enumerate((one, two)):
        (row,) = store.pictures(dataset)
        with store.index(dataset).change() as rows:
            for n in range(10_000):
                rows.add(replace(row, id=f"{number}{n:023x}", name=f"{number}-{n:05d}.png", text="word " * 20))
    command = [sys.executable, "-c", MERGE, str(store.workspace.root), one, two]  # what other tests left running would be counted too
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    count, peak = map(int, told.split())
    assert count == 20_002
    assert peak < 12 * 2**20, peak
