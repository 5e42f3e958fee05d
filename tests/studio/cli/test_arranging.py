"""Commands that arrange data sets, as a person types them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from studio.cli.root import app
from tests.studio.datasets.drawing import draw_figure, encode


@pytest.fixture
def call(tmp_path):
    """Runs one command on a workspace of its own; the result of typer."""

    def invoke(*arguments, **more):
        done = CliRunner().invoke(app, ["dataset", *map(str, arguments), "--workspace", str(tmp_path / "workspace")], **more)
        assert "Traceback" not in done.output
        return done

    return invoke


@pytest.fixture
def studio(call):
    """The same with --json: (exit code, value)."""

    def invoke(*arguments):
        done = call(*arguments, "--json")
        return done.exit_code, json.loads(done.stdout)

    return invoke


@pytest.fixture
def two(studio, tmp_path):
    """Two data sets of four drawings, of which two are the same."""
    for name, seeds in (("foxes", range(4)), ("owls", range(2, 6))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            (tmp_path / name / f"{seed}.png").write_bytes(encode(draw_figure(seed, 96)))
            (tmp_path / name / f"{seed}.txt").write_text(f"{name} {seed}", "utf-8")
        studio("import", tmp_path / name)
    return "foxes", "owls"


def test_merge_tells_what_was_the_same(studio, two):
    code, value = studio("merge", *two, "--into", "All animals")
    assert (code, value["dataset"], value["rows"], value["added"]) == (0, "all-animals", 6, 6)
    assert (value["same"], value["differing"]) == (["2.png", "3.png"], ["2.png", "3.png"])
    assert studio("merge", "owls", "--into", "foxes")[1]["rows"] == 6
    assert {d["id"] for d in studio("list")[1]} == {"foxes", "owls", "all-animals"}


def test_merge_says_it_in_words(call, two):
    said = call("merge", *two).output
    assert "“foxes and owls” has 6 pictures now. 2 pictures were there already and came once: 2.png, 3.png." in " ".join(said.split())


def test_copy_and_rename(studio, two):
    assert studio("copy", "foxes", "--name", "Foxes again")[1]["dataset"] == "foxes-again"
    assert studio("rename", "foxes-again", "Wolves") == (0, {"dataset": "foxes-again", "name": "Wolves"})
    code, value = studio("rename", "foxes", " ")
    assert code == 2
    assert "1 to 80 are possible" in value["error"]


def test_split_by_share_and_by_words(studio, two):
    code, value = studio("split", "foxes", "--share", "0.25")
    assert (code, value["rest"]["rows"], value["taken"]["rows"]) == (0, 3, 1)
    assert studio("split", "foxes", "--text", "foxes 2")[1]["taken"]["rows"] == 1
    assert "must lie between 0 and 1" in studio("split", "foxes", "--share", "20")[1]["error"]


def test_trash_and_back(studio, call, two):
    code, (one,) = studio("trash", "foxes")
    assert (code, one["rows"], one["days_left"]) == (0, 4, 29)
    assert [d["id"] for d in studio("list")[1]] == ["owls"]
    assert [t["id"] for t in studio("trash")[1]] == ["foxes"]
    assert "foxes foxes 4 pictures, 0.1 MB 29" in " ".join(call("trash").output.split())
    assert studio("restore", "foxes")[1][0]["num_captions"] == 4
    assert studio("trash")[1] == []
    assert "The trash is empty." in call("trash").output


def test_deleting_for_good_asks_with_numbers(studio, call, two):
    studio("trash", *two)
    done = call("trash", "foxes", "--for-good", input="n\n")
    assert "“foxes”: 4 pictures" in done.output
    assert "Nothing was deleted." in done.output
    assert len(studio("trash")[1]) == 2
    done = call("trash", "foxes", "owls", "--for-good", input="y\n")
    assert done.exit_code == 0
    assert studio("trash")[1] == []
    assert "no data set “foxes” in the trash" in studio("restore", "foxes")[1]["error"]
