"""`caption` and `score-captions` without a browser, with the bundled captioner."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from studio.cli.root import app
from studio.datasets.caption_notes import read_choices
from studio.datasets.captions import set_caption
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace


@pytest.fixture
def studio(tmp_path):
    def run(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments), "--workspace", str(tmp_path), "--json"])
        assert "Traceback" not in done.output
        return done.exit_code, json.loads(done.stdout)

    return run


@pytest.fixture
def dataset(studio):
    return studio("dataset", "sample", "zog")[1]["dataset"]


@pytest.fixture
def store(tmp_path):
    return DatasetStore(open_workspace(tmp_path))


def clear(store, dataset, some):
    for picture in some:
        set_caption(store, dataset, picture.id, "", None)


@pytest.mark.slow
def test_only_what_is_missing_is_written_in_the_wording_that_was_asked_for(studio, store, dataset):
    clear(store, dataset, store.pictures(dataset)[:2])
    settings = ["-s", "num_beams=4", "-s", "candidates=3", "-s", "prefix=a photo of", "-s", "suffix=, grainy"]
    code, value = studio("dataset", "caption", dataset, *settings)
    assert (code, value["written"], value["failed"], value["left"]) == (0, 2, [], 0)
    rows = store.pictures(dataset)
    assert all(p.text.startswith("a photo of") and p.text.endswith(", grainy") for p in rows[:2])
    assert not any(p.text.startswith("a photo of") for p in rows[2:])
    assert len(read_choices(store.index(dataset), rows[0].id)) >= 2
    code, value = studio("caption", dataset)
    assert code == 2 and "Every picture has a caption" in value["error"]
    assert studio("caption", dataset, "--again")[1]["written"] == 2


@pytest.mark.slow
def test_the_score_of_each_caption_is_told_the_worst_first(studio, store, dataset, tmp_path):
    one, other = store.pictures(dataset)[:2]
    set_caption(store, dataset, one.id, other.text, None)
    code, value = studio("dataset", "score-captions", dataset)
    assert (code, len(value["captions"]), value["doubtful"]) == (0, 12, 1)
    assert value["captions"][0]["name"] == one.name and value["captions"][0]["score"] < 0.5
    told = CliRunner().invoke(app, ["dataset", "score-captions", dataset, "--again", "--workspace", str(tmp_path)])
    assert told.exit_code == 0 and one.name in told.stdout and store.pictures(dataset)[5].name not in told.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-s", "num_beams=99"], "must be from 1 to 10"),
        (["-s", "beams=2"], "no setting “beams”"),
        (["-s", "num_beams"], "is not a setting"),
        (["--place", "middle"], "no place “middle”"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_starts(studio, dataset, arguments, text):
    code, value = studio("caption", dataset, *arguments)
    assert code == 2 and text in value["error"]


def test_captions_of_pairs_are_instructions(studio):
    pairs = studio("dataset", "sample", "edits")[1]["dataset"]
    assert "draft-instructions" in studio("caption", pairs)[1]["error"]
    assert "only captions of pictures" in studio("dataset", "score-captions", pairs)[1]["error"]


@pytest.mark.slow
def test_a_captioner_that_is_not_there_is_told_and_nothing_is_written(studio, store, dataset, monkeypatch):
    monkeypatch.delenv("DARKROOM_LAVIS", raising=False)
    clear(store, dataset, store.pictures(dataset)[:1])
    assert "No captioner is called" in studio("caption", dataset, "--captioner", "no such one")[1]["error"]
    assert "setup-lavis" in studio("caption", dataset, "--captioner", "lavis:blip_caption/base_coco")[1]["error"]
    assert store.pictures(dataset)[0].text == ""
