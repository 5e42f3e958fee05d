"""A folder with shards in the place of a data set: written, trained on, watched; what cannot be is told before anything starts."""

from __future__ import annotations

import json

import pytest

from tests.studio.datasets.pairs import write_folders
from tests.studio.web.conftest import make_client

PRESET = "instruct_pix2pix/pocket15_edits"
FEW = ["--set", "max_train_steps=2", "--set", "sample_every=0", "--set", "sample_prompts=[]", "--set", "num_sample_pairs=1"]


@pytest.fixture
def shards(studio, tmp_path):
    """Pairs that were exported as shards."""
    _, made = studio("dataset", "import", write_folders(tmp_path / "Blue", 6, listed=True))
    assert studio("dataset", "export", made["dataset"], tmp_path / "shards", "--as", "shards")[0] == 0
    return tmp_path / "shards"


@pytest.mark.slow
def test_a_run_learns_from_what_the_studio_wrote_out(studio, shards, tmp_path):
    code, value = studio("train", shards, "--preset", PRESET, *FEW)
    assert (code, value["state"], value["steps"]) == (0, "finished", 2), value
    root = tmp_path / "workspace" / "runs" / value["run"]
    assert json.loads((root / "shards.json").read_text())["training"] == 5
    assert value["run"].startswith("shards")
    assert [run["dataset"] for run in studio("runs", "list")[1]] == [""]
    with make_client(tmp_path / "workspace") as client:
        for part in ("", "/events?offset=0", "/advice", "/log", "/pictures", "/compare", "/pairs"):
            assert client.get(f"/api/runs/{value['run']}{part}").status_code == 200, part
        for address in ("/api/home", f"/api/rail?run={value['run']}", "/api/loras", "/monitor", "/compare", "/generate"):
            assert client.get(address).status_code == 200, address


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], "passes cannot be turned into steps. Set Steps"),
        (["--set", "max_train_steps=2", "--set", "train_data_dir=/nowhere"], "The folder /nowhere has no shards"),
    ],
)
def test_what_shards_cannot_give_is_told_before_anything_starts(studio, shards, changes, said):
    preset = PRESET if changes else "instruct_pix2pix/sd15_8x_a100"
    code, value = studio("train", shards, "--preset", preset, *changes)
    assert code == 2 and said in json.dumps(value, ensure_ascii=False)
    assert studio("runs", "list")[1] == []


def test_a_training_of_one_subject_reads_no_shards(studio, shards):
    code, value = studio("train", shards, "--preset", "dreambooth/pocket_subject")
    assert code == 2 and "shards" in json.dumps(value, ensure_ascii=False)
