"""Data sets in and out by commands: tables, shards, seeds; columns that a person chooses."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from studio.cli.root import app
from studio.datasets.formats import tables
from tests.studio.datasets.drawing import draw_figure, encode
from tests.studio.datasets.pairs import write_folders


def run(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert "Traceback" not in done.output
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def studio(tmp_path):
    """Runs one command on a workspace of its own; (exit code, JSON value)."""
    return lambda *arguments: run(*arguments, "--workspace", tmp_path / "workspace")


@pytest.mark.parametrize(("form", "name"), [("saved", "out"), ("shards", "out"), ("", "out.parquet")])
def test_what_is_written_is_read_again(studio, tmp_path, form, name):
    _, made = studio("dataset", "import", write_folders(tmp_path / "Blue", 4, listed=True))
    code, written = studio("dataset", "export", made["dataset"], tmp_path / name, *(["--as", form] if form else []))
    assert (code, written["rows"]) == (0, 4)
    code, again = studio("dataset", "import", tmp_path / name)
    assert (code, again["kind"], again["pictures"], again["incomplete"], again["refused"]) == (0, "pairs", 4, 0, [])
    assert studio("dataset", "list")[1][0]["num_captions"] == 4


def test_seeds_are_converted_without_a_workspace(tmp_path):
    source = write_folders(tmp_path / "seeds", 3, listed=True)
    assert run("dataset", "convert", source, tmp_path / "out.parquet") == (0, {"path": str(tmp_path / "out.parquet"), "rows": 3})
    assert pq.read_schema(tmp_path / "out.parquet").names == ["original_image", "edit_prompt", "edited_image"]
    assert run("dataset", "convert", source, tmp_path / "out")[1]["rows"] == 3
    assert (tmp_path / "out" / "state.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["convert", "nowhere", "out"], "There is no metadata.jsonl in nowhere"),
        (["convert", "seeds", "out", "--as", "zip"], "no form “zip”. There is: saved, parquet, shards"),
        (["convert", "seeds", "out", "--as", "parquet"], "ends in .parquet"),
        (["convert", "seeds", "seeds"], "is there already"),
    ],
)
def test_what_cannot_be_converted_is_told(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path / "seeds", 2, listed=True)
    code, value = run("dataset", *arguments)
    assert code == 2 and told in value["error"]
    assert [p.name for p in tmp_path.iterdir()] == ["seeds"]


def test_columns_are_chosen(studio, tmp_path):
    first, second = ({"bytes": encode(draw_figure(n, 48)), "path": f"{n}.png"} for n in range(2))
    kinds = {"left": "picture", "right": "picture", "mask": "picture", "said": "words", "note": "words"}
    row = {"left": first, "right": second, "mask": first, "said": "turn it round", "note": "x"}
    tables.write_parquet([row], kinds, tmp_path / "odd.parquet")
    code, value = studio("dataset", "import", tmp_path / "odd.parquet")
    assert code == 2 and "Several columns hold pictures (left, right)" in value["error"]
    assert studio("dataset", "list") == (0, [])  # nothing half made is left
    chosen = ("--image-column", "left", "--image-column", "right", "--words-column", "said")
    code, value = studio("dataset", "import", tmp_path / "odd.parquet", *chosen)
    assert (code, value["kind"], value["pictures"]) == (0, "pairs", 1)
    _, written = studio("dataset", "export", value["dataset"], tmp_path / "out.parquet")
    (row,) = tables.read_records([tmp_path / "out.parquet"], ["edit_prompt", "original_image"])
    assert row["edit_prompt"] == "turn it round" and io.BytesIO(row["original_image"]["bytes"]).read(4) == b"\x89PNG"
