"""Who judges in shards: `{"held_out": true}` in a sample's JSON member, none of them learnt from, the share without a say."""

from __future__ import annotations

import json

import pytest

from backends.contract.errors import DarkroomError
from backends.engine.shards import stream
from backends.engine.shards.index import SAMPLE, find_chosen, index_shard, open_index
from studio.datasets.formats.write_out import export_table
from studio.datasets.ingest import ingest_folder
from studio.datasets.judges import mark_judges
from studio.datasets.store import DatasetStore
from studio.workspace import open_workspace
from tests.backends.engine import toy
from tests.backends.engine.shards.tars import draw, draw_mask, pictures, write_shards, write_tar
from tests.backends.engine.shards.test_stream import open_all
from tests.studio.datasets.pairs import write_folders

MARK = json.dumps({"held_out": True}).encode()


def chosen(*numbers):
    """Pictures of which these judge."""

    def kind(count, *, first=0):
        for number, (key, members) in enumerate(pictures(count, first=first), first):
            yield key, members | ({"json": MARK} if number in numbers else {})

    return kind


def parts(samples):
    return [row.caption for row in samples.held_out_rows()], [samples.row(number).caption for number in range(len(samples))]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_exactly_the_chosen_judge_and_all_others_teach_whatever_the_share(tmp_path, share):
    folder = write_shards(tmp_path / "shards", chosen(3, 4, 17), shards=3, each=8)
    judging, teaching = parts(open_all(folder, tmp_path / "cache", held_out_share=share))
    assert sorted(judging) == ["zog number 17", "zog number 3", "zog number 4"]
    assert sorted(judging + teaching) == sorted(f"zog number {n}" for n in range(24))


def test_a_limit_takes_so_many_of_those_that_nobody_chose(tmp_path):
    folder = write_shards(tmp_path / "shards", chosen(*range(12)), shards=3, each=8)
    judging, teaching = parts(open_all(folder, tmp_path / "cache", limit=5))
    assert len(judging) == 12 and len(teaching) == 5 and not set(judging) & set(teaching)


def test_of_very_many_chosen_some_judge_and_none_teaches(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MOST_HELD_OUT", 4)
    folder = write_shards(tmp_path / "shards", chosen(*range(18)), shards=3, each=8)
    samples = open_all(folder, tmp_path / "cache")
    judging, teaching = parts(samples)
    assert samples.num_chosen == 18 and len(judging) == 4 and set(judging) < {f"zog number {n}" for n in range(18)}
    assert sorted(teaching) == sorted(f"zog number {n}" for n in range(18, 24))


def test_where_all_were_chosen_it_is_refused_with_the_number(tmp_path):
    folder = write_shards(tmp_path / "shards", chosen(*range(8)), shards=1, each=8)
    with pytest.raises(DarkroomError, match="no sample to train on.* 8 of them were chosen to judge; let some teach"):
        open_all(folder, tmp_path / "cache")


def test_a_mark_stands_beside_words_and_masks_and_costs_nothing_where_there_is_none(tmp_path):
    both = {"png": draw(1), "mask.png": draw_mask(8), "json": json.dumps({"text": "in JSON", "held_out": "yes"}).encode()}
    shard = write_tar(tmp_path / "s.tar", [("1", both), ("2", {"png": draw(2), "json": b'{"held_out": false}'}), ("3", {"png": draw(3)})])
    samples = open_index(index_shard(shard, tmp_path / "cache", pairs=False))
    assert find_chosen(samples).tolist() == [True, False, False] and samples["mask_size"].astype(bool).tolist() == [True, False, False]
    plain = write_tar(tmp_path / "p.tar", [("1", {"png": draw(1), "json": b'{"text": "a", "held_out": 0}'})])
    assert open_index(index_shard(plain, tmp_path / "cache", pairs=False)).dtype == SAMPLE


def test_a_mark_that_says_neither_yes_nor_no_is_named_with_its_sample(tmp_path):
    shard = write_tar(tmp_path / "s.tar", [("1", {"png": draw(1), "json": b'{"held_out": "perhaps"}'})])
    with pytest.raises(DarkroomError, match="Sample “1” of the shard .* held_out is “perhaps”"):
        index_shard(shard, tmp_path / "cache", pairs=False)


def test_shards_of_an_export_keep_chosen_pairs_from_the_trainer(toy_base, tmp_path):
    store = DatasetStore(open_workspace(tmp_path / "workspace"))
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, write_folders(tmp_path / "in", 6, listed=True))
    mark_judges(store, made, [row.id for row in store.pictures(made)[2:4]], judges=True)
    export_table(store, made, tmp_path / "shards", "shards")
    settings = {"train_data_dir": str(tmp_path / "shards"), "max_train_steps": 2, "held_out_share": 0.5}
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", rows=[], **settings)
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    judging = [json.loads(line)["caption"] for line in run.manifest.read_text().splitlines()]
    assert sorted(judging) == ["make it blue 2", "make it blue 3"]
    assert json.loads((run.root / "shards.json").read_text()) | {"hash": ""} == {"hash": "", "training": 4, "held_out": 2}
    assert "2 samples of the shards were chosen to judge" in run.events.read_text()
