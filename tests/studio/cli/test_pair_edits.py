"""Edit pairs by commands: swapped, given one instruction, taken out; each undone."""

from __future__ import annotations

import pytest

from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.drawing import draw_figure
from tests.studio.datasets.pairs import write_folders


@pytest.fixture
def dataset(studio, tmp_path):
    """Three pairs with instructions."""
    return studio("dataset", "import", write_folders(tmp_path / "Pairs", 3, listed=True), "--kind", "pairs")[1]["dataset"]


@pytest.fixture
def rows(tmp_path, dataset):
    store = DatasetStore(open_workspace(tmp_path / "workspace"))
    return lambda: store.pictures(dataset)


def test_pairs_are_swapped_by_name_or_all_and_undone(studio, dataset, rows):
    before = [(row.before.id, row.after.id) for row in rows()]
    code, value = studio("dataset", "swap", dataset, "001")
    assert (code, value["rows"]) == (0, 1)
    assert [(row.before.id, row.after.id) for row in rows()] == [before[0], before[1][::-1], before[2]]
    assert studio("dataset", "undo", dataset, value["token"])[0] == 0
    assert studio("dataset", "swap", dataset)[1]["rows"] == 3
    assert [(row.before.id, row.after.id) for row in rows()] == [sides[::-1] for sides in before]


def test_one_instruction_is_given_to_some_and_taken_back(studio, dataset, rows):
    before = [row.text for row in rows()]
    code, value = studio("dataset", "say", dataset, "make it night", "000", "002")
    assert (code, value["rows"]) == (0, 2) and [row.text for row in rows()] == ["make it night", before[1], "make it night"]
    studio("dataset", "undo", dataset, value["token"])
    assert [row.text for row in rows()] == before
    code, value = studio("dataset", "say", dataset, " ")
    assert code == 2 and "The instruction is empty" in value["error"]


def test_pairs_are_taken_out_and_brought_back(studio, dataset, rows):
    before = rows()
    code, value = studio("dataset", "remove", dataset, "000", "001")
    assert (code, value["rows"]) == (0, 2) and rows() == before[2:]
    studio("dataset", "undo", dataset, value["token"])
    assert rows() == before
    code, value = studio("dataset", "remove", dataset, "nobody")
    assert code == 2 and "“nobody”" in value["error"]


def test_single_pictures_have_no_sides_and_no_instruction(studio, tmp_path):
    (tmp_path / "Mugs").mkdir()
    draw_figure(1, 128).save(tmp_path / "Mugs" / "figure.png")
    made = studio("dataset", "import", tmp_path / "Mugs")[1]["dataset"]
    for act in (["swap"], ["say", "make it night"]):
        code, value = studio("dataset", act[0], made, *act[1:])
        assert code == 2 and "holds single pictures" in value["error"]
