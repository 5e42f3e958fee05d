"""Data sets from the hub and to it, over HTTP: the real library against a small server in the hub's place; no token leaks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.datasets.formats import tables
from studio.datasets.hub.sources import split_of
from studio.datasets.ingest import ingest_files
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.hub_server import GOOD_TOKEN, Hub, serve_hub
from tests.rules.source import ROOT
from tests.studio.datasets.drawing import draw_figure, encode

BAD_TOKEN = "hf_" + "bad1" * 8


def write_table(path, seeds, *, pairs=False, names=None):
    """A Parquet file of drawings with words."""
    columns = names or (("input_image", "output_image", "instruction") if pairs else ("image", "text"))
    fields = [pa.field(name, pa.string() if name == columns[-1] else tables.PICTURE) for name in columns]
    rows = []
    for seed in seeds:
        pictures = [{"bytes": encode(draw_figure(seed + 1000 * side, 64)), "path": None} for side in range(len(columns) - 1)]
        rows.append(dict(zip(columns, (*pictures, f"number {seed}"), strict=True)))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), path)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with a data set of five files in two splits, edit pairs, one of unclear columns, one of loose pictures, and faults."""
    root = tmp_path_factory.mktemp("hub")
    for number in range(4):
        write_table(root / f"foxes/data/train-{number:05d}-of-00004.parquet", range(10 * number, 10 * number + 5))
    write_table(root / "foxes/data/test-00000-of-00001.parquet", range(90, 92))
    (root / "foxes/README.md").write_text("# Foxes", "utf-8")
    write_table(root / "edits/train.parquet", range(3), pairs=True)
    write_table(root / "unclear/train.parquet", range(3), names=("left", "right", "said"))
    (root / "loose").mkdir()
    (root / "loose/a.png").write_bytes(encode(draw_figure(1, 64)))
    write_table(root / "made/default/train/0000.parquet", range(4))
    (root / "empty").mkdir()
    (root / "empty/notes.txt").write_text("nothing", "utf-8")
    offered = {f"me/{p.name}": p for p in root.iterdir()} | {"them/foxes": root / "foxes", "me/gated": root / "foxes", "me/down": root}
    pushed = tmp_path_factory.mktemp("pushed")
    faults = {"me/down": 503, "me/busy": 429}
    with serve_hub(Hub(offered, gated={"me/gated"}, broken=faults, converted={"me/loose": root / "made"}, pushed=pushed)) as served:
        yield served


@pytest.fixture
def studio(hub, tmp_path):
    """Runs one command in a process of its own, because the hub's library reads its settings when it is imported."""

    def run(*arguments, token="", **environment):
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("HF_", "HUGGING"))}
        known = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
        known |= {"HF_TOKEN": token} if token else {}
        command = [sys.executable, "-m", "studio", "dataset", *map(str, arguments), "--workspace", str(tmp_path / "workspace"), "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env=inherited | known | environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert not any(t in done.stdout + done.stderr for t in (GOOD_TOKEN, BAD_TOKEN))
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        assert not list((tmp_path / "workspace/tmp").glob("*"))
        return json.loads(done.stdout)

    return run


def texts(workspace, dataset):
    return [row.text for row in DatasetStore(open_workspace(workspace)).pictures(dataset)]


def test_a_split_comes_file_by_file_and_nothing_else_is_downloaded(studio, hub, tmp_path):
    hub.asked.clear()
    value = studio("fetch", "me/foxes")
    assert (value["dataset"], value["pictures"], value["refused"]) == ("foxes", 20, [])
    assert texts(tmp_path / "workspace", "foxes") == [f"number {10 * part + n}" for part in range(4) for n in range(5)]
    fetched = [path for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path]
    assert len(fetched) == 4
    assert all("/data/train-" in path for path in fetched)
    assert not list((tmp_path / "home").rglob("*.parquet"))


def test_another_split_and_a_revision(studio):
    assert studio("fetch", "me/foxes", "--split", "test", "--revision", "main")["pictures"] == 2
    assert studio("import", "hub:me/foxes@main#test", "--name", "Again")["pictures"] == 2


def test_edit_pairs_and_chosen_columns(studio):
    assert studio("fetch", "me/edits")["kind"] == "pairs"
    value = studio(
        "fetch", "me/unclear", "--image-column", "right", "--image-column", "left", "--words-column", "said", "--name", "Turned round"
    )
    assert (value["dataset"], value["kind"], value["pictures"]) == ("turned-round", "pairs", 3)
    assert "Several columns hold pictures (left, right)" in studio("fetch", "me/unclear")["error"]


def test_of_loose_pictures_the_tables_that_the_hub_made_come(studio):
    assert studio("fetch", "me/loose")["pictures"] == 4


def test_a_gated_one_opens_with_a_token_from_the_private_file(studio, tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/hf_token").write_text(GOOD_TOKEN, "utf-8")
    (tmp_path / "workspace/hf_token").chmod(0o600)
    assert studio("fetch", "me/gated", "--split", "test")["pictures"] == 2


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (
            ["me/gated"],
            "",
            "“me/gated” is gated: its owners ask you to accept their licence first. Open https://huggingface.co/datasets/me/",
        ),
        (["me/gated"], BAD_TOKEN, "the token in HF_TOKEN does not open it"),
        (["me/nothing"], "", "There is no data set “me/nothing” on the hub, or it is private."),
        (["me/nothing"], GOOD_TOKEN, "that the token in HF_TOKEN may see"),
        (["me/foxes"], BAD_TOKEN, "did not accept the token in HF_TOKEN"),
        (["me/foxes", "--revision", "v9"], "", "“me/foxes” has no revision “v9”"),
        (["me/foxes", "--split", "dev"], "", "has no split “dev”. There is: test, train."),
        (["me/empty"], "", "holds no table and no archive that can be read (1 files)"),
        (["me/down"], "", "The hub has a fault of its own (status 503)"),
        (["foxes"], "", "“foxes” cannot be a data set of the hub. Give its name as owner/name"),
        (["../../etc/passwd"], "", "cannot be a data set of the hub"),
    ],
)
def test_what_the_hub_refuses_is_told_and_no_data_set_is_left(studio, tmp_path, arguments, token, told):
    assert told in studio("fetch", *arguments, token=token)["error"]
    assert DatasetStore(open_workspace(tmp_path / "workspace")).list() == []


def test_without_a_way_there_it_is_told(studio):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert "The hub cannot be reached for “me/foxes”" in studio("fetch", "me/foxes", HF_ENDPOINT=address)["error"]
    assert "HF_HUB_OFFLINE forbids" in studio("fetch", "me/foxes", HF_HUB_OFFLINE="1")["error"]


def test_what_is_pushed_is_fetched_again(studio, hub, tmp_path):
    studio("fetch", "me/foxes", "--split", "test")
    value = studio("push", "foxes", "me/little-foxes", "--private", token=GOOD_TOKEN)
    assert value == {"address": f"{hub.address}/datasets/me/little-foxes", "rows": 2, "files": 1}
    root = hub.repositories["me/little-foxes"]
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == ["README.md", "data/train-00000.parquet"]
    assert "path: data/train-*" in (root / "README.md").read_text("utf-8")
    assert hub.private["me/little-foxes"]
    assert pq.read_schema(root / "data/train-00000.parquet").names == ["image", "text"]
    assert "may be replaced" in studio("push", "foxes", "me/little-foxes", token=GOOD_TOKEN)["error"]
    assert studio("push", "foxes", "me/little-foxes", "--replace", token=GOOD_TOKEN)["rows"] == 2
    assert "or it is private" in studio("fetch", "me/little-foxes")["error"]
    again = studio("fetch", "me/little-foxes", token=GOOD_TOKEN)
    assert texts(tmp_path / "workspace", again["dataset"]) == ["number 90", "number 91"]


def test_who_judges_is_pushed_and_fetched_too(studio, hub, tmp_path):
    studio("fetch", "me/foxes", "--split", "test")
    name = DatasetStore(open_workspace(tmp_path / "workspace")).pictures("foxes")[1].name
    assert studio("judge", "foxes", name)["judging"] == 1
    studio("push", "foxes", "me/judged-foxes", token=GOOD_TOKEN)
    root = hub.repositories["me/judged-foxes"]
    assert pq.read_table(root / "data/train-00000.parquet")["held_out"].to_pylist() == [False, True]
    assert "Columns: image, text, held_out." in (root / "README.md").read_text("utf-8")
    again = studio("fetch", "me/judged-foxes", token=GOOD_TOKEN)["dataset"]
    assert [row.judges for row in DatasetStore(open_workspace(tmp_path / "workspace")).pictures(again)] == [False, True]


@pytest.mark.parametrize(
    ("repo", "token", "told"),
    [
        ("me/new", "", "there is no token. Make one with the right to write"),
        ("me/new", BAD_TOKEN, "did not let the token in HF_TOKEN write to “me/new”"),
        ("them/new", GOOD_TOKEN, "did not let the token in HF_TOKEN write to “them/new”"),
        ("new", GOOD_TOKEN, "cannot be a data set of the hub"),
    ],
)
def test_what_may_not_be_pushed_is_told(studio, hub, tmp_path, repo, token, told):
    store, picture = DatasetStore(open_workspace(tmp_path / "workspace")), tmp_path / "fox.png"
    picture.write_bytes(encode(draw_figure(1, 64)))
    (done,) = ingest_files(store, store.create("Foxes").id, [("fox.png", picture)])
    assert done.accepted
    assert told in studio("push", "foxes", repo, token=token)["error"]
    assert "me/new" not in hub.repositories


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("default/test/0000.parquet", "test"),
        ("validation.parquet", "validation"),
        ("data/0000.parquet", ""),
        ("train/part-1.tar", "train"),
        ("data/faces-00000-of-00003.parquet", "faces"),
        ("en/0001.parquet", "en"),
        ("00000.tar", ""),
    ],
)
def test_the_split_is_read_from_names(path, split):
    assert split_of(path) == split
