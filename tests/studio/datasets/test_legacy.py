"""Data sets of former versions, whose rows were lines of metadata.jsonl: taken over whole, or not at all."""

from __future__ import annotations

import json

import pytest

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.ingest import ingest_folder
from studio.datasets.rows import to_plain
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.pairs import write_folders


@pytest.fixture(params=["pictures", "pairs"])
def former(request, store, dataset, drop, tmp_path):
    """A data set as a former version left it: its rows as they were, and the file they stand in."""
    from tests.studio.datasets.drawing import draw_figure, encode

    made = dataset
    if request.param == "pairs":
        made = store.create("Pairs", "pairs").id
        ingest_folder(store, made, write_folders(tmp_path / "in", 4, listed=True))
    else:
        for number in range(4):
            drop(f"{number}.png", encode(draw_figure(number, 64)))
    rows = store.pictures(made)
    folder = store.workspace.dataset(made)
    lines = [json.dumps(to_plain(row)) for row in rows]
    (folder / "rows.sqlite").unlink()
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return made, rows, folder / "metadata.jsonl"


def test_its_rows_are_those_they_were_and_the_file_is_put_aside(store, former):
    made, rows, path = former
    lines = path.read_text("utf-8")
    assert store.pictures(made) == rows
    assert not path.exists() and path.with_name("metadata.before.jsonl").read_text("utf-8") == lines
    captions.set_caption(store, made, rows[3].id, "another", rows[3].version)
    assert [p.text for p in DatasetStore(open_workspace(store.workspace.root)).pictures(made)] == [*(p.text for p in rows[:3]), "another"]


def test_a_writer_takes_it_over_too(store, former):
    made, rows, _ = former
    captions.set_caption(store, made, rows[0].id, "another", None)
    assert [p.text for p in store.pictures(made)] == ["another", *(p.text for p in rows[1:])]


@pytest.mark.parametrize("change", ["\n\n", "\r\n"])
def test_blank_lines_and_line_ends_of_another_program_do_no_harm(store, former, change):
    made, rows, path = former
    path.write_text(path.read_text("utf-8").replace("\n", change), "utf-8", newline="")
    assert store.pictures(made) == rows


def test_a_line_that_is_broken_is_named_nothing_is_lost_and_no_other_data_set_is_hidden(store, former):
    made, rows, path = former
    other, lines = store.create("Other").id, path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], '{"file_name": ', *lines[3:]]))
    for _ in range(2):
        with pytest.raises(DarkroomError, match="Line 3 of"):
            store.pictures(made)
    listed = {d.id: d for d in store.list()}
    assert listed[other].problem == "" and "Line 3" in listed[made].problem
    path.write_text("\n".join(lines))
    assert store.pictures(made) == rows


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd"])
def test_a_file_name_that_leaves_the_folder_is_refused(store, former, file):
    made, rows, path = former
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(row | {"input_image" if rows[0].before else "file_name": file}))
    with pytest.raises(DarkroomError, match="leaves"):
        store.pictures(made)
