"""Many captions from the command line: shown first, written when asked, taken back."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from studio.cli.root import app
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.studio.datasets.many import caption, create_many


@pytest.fixture
def store(tmp_path):
    return DatasetStore(open_workspace(tmp_path / "workspace"))


@pytest.fixture
def run(store):
    """Runs one command; (exit code, JSON value)."""

    def command(*arguments):
        done = CliRunner().invoke(app, ["captions", *arguments, "--workspace", str(store.workspace.root), "--json"])
        assert "Traceback" not in done.output
        return done.exit_code, json.loads(done.stdout)

    return command


def texts(store, dataset):
    return [row.text for row in store.index(dataset).rows()]


def test_captions_are_found_by_text_tag_length_and_lack(run, store):
    dataset = create_many(store, 60)
    assert run("find", dataset, "--missing")[1]["count"] == 6
    assert run("find", dataset, "--tag", "Wooden table")[1]["count"] == 54
    assert [p["caption"] for p in run("find", dataset, "--text", r"number 1\d,.*beach$", "--regex")[1]["pictures"]] == [
        caption(11),
        caption(16),
    ]
    assert run("find", dataset, "--longer-than", "40")[1]["count"] == 1  # the fiftieth says much
    assert run("find", dataset, "--text", "(", "--regex")[0] == 2


def test_nothing_is_written_without_being_asked_and_undo_takes_it_back(run, store):
    dataset = create_many(store, 20)
    before = texts(store, dataset)
    assert run("replace", dataset, "wooden table", "chair")[1]["count"] == 18
    assert texts(store, dataset) == before
    assert run("replace", dataset, "wooden table", "chair", "--write")[1]["token"]
    assert run("tag", dataset, "add", "smiling", "--place", "second", "--write")[1]["count"] == 18
    assert texts(store, dataset)[0] == "zog number 0, smiling, red background, chair, at the wall"
    assert [act["count"] for act in run("changes", dataset)[1]] == [18, 18]
    assert run("undo", dataset)[1] == {"count": 18}
    assert run("undo", dataset)[1] == {"count": 18}
    assert texts(store, dataset) == before
    assert run("undo", dataset)[0] == 2


def test_a_data_set_that_there_is_not_is_told(run):
    code, told = run("replace", "none", "a", "b")
    assert code == 2 and "none" in json.dumps(told)
