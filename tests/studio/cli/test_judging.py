"""Who judges, by command: chosen, listed, cleared, undone."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from studio.cli.root import app
from tests.studio.datasets.drawing import draw_figure


@pytest.fixture
def dataset(studio, tmp_path):
    (tmp_path / "Mugs").mkdir()
    for seed in range(4):
        draw_figure(seed, 128).save(tmp_path / "Mugs" / f"{seed}.png")
    return studio("dataset", "import", tmp_path / "Mugs")[1]["dataset"]


def names(studio, dataset):
    code, value = studio("dataset", "judge", dataset)
    assert code == 0 and value["judging"] == len(value["pictures"]) and value["training"] == 4 - value["judging"]
    return [one["name"] for one in value["pictures"]]


def test_pictures_are_chosen_listed_cleared_and_the_step_is_undone(studio, dataset):
    assert names(studio, dataset) == []
    code, value = studio("dataset", "judge", dataset, "1.png", "3.png")
    assert code == 0 and (value["rows"], value["judging"], value["training"], value["judges"]) == (2, 2, 2, True)
    assert names(studio, dataset) == ["1.png", "3.png"]
    assert studio("dataset", "undo", dataset, value["token"]) == (0, {"dataset": dataset, "rows": 2})
    assert names(studio, dataset) == []
    studio("dataset", "judge", dataset, "1.png", "2.png", "3.png")
    studio("dataset", "judge", dataset, "2.png", "--clear")
    assert names(studio, dataset) == ["1.png", "3.png"]
    code, value = studio("dataset", "judge", dataset, "--clear")
    assert code == 0 and value["rows"] == 2 and names(studio, dataset) == []


def test_what_cannot_be_is_said_with_the_way_out(studio, dataset):
    code, value = studio("dataset", "judge", dataset, "9.png")
    assert code == 2 and "There is no picture “9.png”" in str(value)
    code, value = studio("dataset", "judge", dataset, "--clear")
    assert code == 2 and "nothing to clear" in str(value)


def test_a_person_is_told_when_nothing_is_left(dataset, tmp_path):
    pictures = [f"{seed}.png" for seed in range(4)]
    told = CliRunner().invoke(app, ["dataset", "judge", dataset, *pictures, "--workspace", str(tmp_path / "workspace")]).stdout
    assert "4 pictures judge in mugs, chosen by you, and none is left to learn from: no run can start." in told


def test_the_check_says_who_chose_them(studio, dataset):
    studio("dataset", "judge", dataset, "1.png")
    _, value = studio("check", dataset)
    assert (value["split"]["chosen"], value["split"]["held_out"], value["split"]["training"]) == (1, 1, 3)
