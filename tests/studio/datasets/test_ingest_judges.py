"""Who judges, as lists say it: with the pictures, before them, after them; wrong words are named with their line."""

from __future__ import annotations

import json

import pytest

from studio.datasets.ingest import ingest_folder, ingest_list
from studio.datasets.judges import list_judges
from studio.datasets.merging import copy_dataset
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders


def listed(*marks, folder="", key="held_out"):
    lines = [{"file_name": f"{folder}{n}.png", "text": f"figure {n}", key: mark} for n, mark in enumerate(marks)]
    return "\n".join(map(json.dumps, lines)).encode()


def picture(n):
    return encode(draw_figure(n, 48))


def judging(store, dataset):
    return [row.name for row in list_judges(store, dataset)]


def test_a_list_that_comes_first_waits_for_its_pictures(store, dataset, drop):
    told = drop("metadata.jsonl", listed(False, True, "yes"))
    assert any("2 pictures of it judge" in one.reason for one in told)
    assert judging(store, dataset) == []
    for n in range(3):
        drop(f"{n}.png", picture(n))
    assert judging(store, dataset) == ["1.png", "2.png"]
    assert not (store.workspace.dataset(dataset) / "waiting_judges.json").exists()


def test_a_copy_waits_for_the_same_pictures(store, dataset, drop, tmp_path):
    drop("metadata.jsonl", listed(False, True))
    drop("0.png", picture(0))
    again = copy_dataset(store, dataset).info.id
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "1.png").write_bytes(picture(1))
    ingest_folder(store, again, tmp_path / "late")
    assert judging(store, again) == ["1.png"] and judging(store, dataset) == []


def test_a_list_that_comes_last_marks_what_is_here_and_what_is_under_its_last_name(store, dataset, drop):
    for n in range(3):
        drop(f"{n}.png", picture(n))
    drop("metadata.jsonl", listed(True, False, None, folder="portraits/"))
    assert judging(store, dataset) == ["0.png"]


def test_a_picture_that_is_here_already_judges_when_it_comes_again_under_another_name(store, dataset, drop, tmp_path):
    drop("mine.png", picture(0))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(picture(0))
    (tmp_path / "in" / "metadata.jsonl").write_bytes(listed(True))
    ingest_folder(store, dataset, tmp_path / "in")
    assert judging(store, dataset) == ["mine.png"]


def test_a_csv_says_it_as_words(store, dataset, tmp_path):
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(picture(n))
    (tmp_path / "list.csv").write_text("file,caption,held_out\n0.png,figure 0,\n1.png,figure 1,true\n")
    ingest_list(store, dataset, tmp_path / "list.csv")
    assert judging(store, dataset) == ["1.png"]
    assert [row.text for row in store.pictures(dataset)] == ["figure 0", "figure 1"]


def test_words_that_are_no_mark_are_named_with_their_line_and_nothing_of_the_list_is_kept(store, dataset, drop):
    (told,) = [one for one in drop("metadata.jsonl", listed(True, "perhaps")) if not one.accepted]
    assert "Line 2 of metadata.jsonl: held_out is “perhaps”; it must be true" in told.reason
    drop("0.png", picture(0))
    assert judging(store, dataset) == [] and store.pictures(dataset)[0].text == ""


def test_another_column_is_no_mark(store, dataset, drop):
    drop("0.png", picture(0))
    drop("metadata.jsonl", listed(True, key="split"))
    assert judging(store, dataset) == []


@pytest.mark.parametrize("first", ["list", "pictures"])
def test_a_list_of_pairs_marks_them_whichever_comes_first(store, tmp_path, first):
    made = store.create("Pairs", "pairs").id
    root = write_folders(tmp_path / "in", 3, listed=True)
    lines = [json.loads(line) | {"held_out": n == 1} for n, line in enumerate((root / "metadata.jsonl").read_text().splitlines())]
    (root / "metadata.jsonl").unlink()
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for folder in (tmp_path / "list", root) if first == "list" else (root, tmp_path / "list"):
        ingest_folder(store, made, folder)
    assert store.info(made).num_pictures == 3 and store.info(made).num_incomplete == 0
    assert judging(store, made) == [next(row.name for row in store.pictures(made) if row.text == "make it blue 1")]
