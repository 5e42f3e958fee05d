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


def test_what_training_reads_is_shown_pass_by_pass_and_nothing_is_written(run, store):
    dataset = create_many(store, 20)
    before = texts(store, dataset)
    code, plain = run("preview", dataset)
    assert code == 0 and all(row["passes"] == [row["text"]] * 5 for row in plain["captions"])
    assert len(plain["captions"]) == 8 and plain["all"] == {"written": 18, "moving": 0, "texts": 18}
    told = run("preview", dataset, "--dropout", "0.5", "--shuffle", "--keep", "0", "--epochs", "3", "--seed", "4")[1]
    assert told == run("preview", dataset, "--dropout", "0.5", "--shuffle", "--keep", "0", "--epochs", "3", "--seed", "4")[1]
    passes = [text for row in told["captions"] for text in row["passes"]]
    assert {len(row["passes"]) for row in told["captions"]} == {3} and "" in passes and told["all"]["moving"] > 0
    assert told["all"]["texts"] > told["all"]["written"]
    assert texts(store, dataset) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--keep", "-1"), "Tags that keep their place is -1"), (("--dropout", "0.95"), "0 to 0.9"), (("--seed", "-3"), "Seed is -3")],
)
def test_a_preview_with_settings_that_no_training_takes_is_refused_with_the_rule(run, store, arguments, words):
    code, told = run("preview", create_many(store, 5), *arguments)
    assert code == 2 and words in str(told)
