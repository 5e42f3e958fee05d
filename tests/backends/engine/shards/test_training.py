"""The real trainer on shards: it learns from their bytes alone, goes on bit for bit, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backends.contract.pictures import open_picture
from tests.backends.engine import toy
from tests.backends.engine.shards.tars import draw, pairs, pictures, write_shards, write_tar

BACKENDS = {"sdxl/text_to_image": pictures, "sd15/instruct_pix2pix": pairs}


def make(tmp_path, base, backend, name="run", **settings):
    folder = tmp_path / "shards"
    if not folder.is_dir():
        write_shards(folder, BACKENDS[backend])
    run = toy.make_run(tmp_path / name, base, backend, rows=[], **{"train_data_dir": str(folder), "max_train_steps": 4, **settings})
    run.manifest.unlink()
    return run


def manifest(run):
    return [json.loads(line) for line in run.manifest.read_text().splitlines()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(toy_base, tmp_path, backend):
    base = toy_base(backend.partition("/")[0])
    samples = {"sample_every": 2, "sample_prompts": ["make it red"]}
    whole, killed = (make(tmp_path, base, backend, name, **samples) for name in ("whole", "killed"))
    assert toy.train(whole) == 0, whole.log.read_text()
    assert toy.train(killed, fault="step.end=kill9@3") == -9
    assert toy.train(killed, "--resume", "latest") == 0, killed.log.read_text()
    assert toy.difference(killed.result, whole.result) == 0
    judged = [e["loss"] for e in toy.events_of(whole, "eval")]
    assert len(judged) == 3 and judged[0] != judged[-1]
    assert [e["step"] for e in toy.events_of(whole, "sample")][0] == 0
    assert "read from 3 shards" in str(toy.events_of(whole, "notice"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_loading_processes_and_no_kept_latents_change_nothing(toy_base, tmp_path, backend):
    base = toy_base(backend.partition("/")[0])
    plain = make(tmp_path, base, backend, "plain", random_flip=True)
    ahead = make(tmp_path, base, backend, "ahead", random_flip=True, dataloader_num_workers=2, cache_latents=False)
    for run in (plain, ahead):
        assert toy.train(run) == 0, run.log.read_text()
    assert toy.difference(plain.result, ahead.result) == 0


def test_who_judges_is_written_out_and_is_never_learnt_from(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sd15"), "sd15/instruct_pix2pix", held_out_share=0.25)
    assert toy.train(run) == 0, run.log.read_text()
    rows = manifest(run)
    assert len(rows) == 6 and all(row["held_out"] for row in rows)
    assert json.loads((run.root / "shards.json").read_text())["training"] == 18
    known = {f"make it {n}": (draw(n), draw(n + 10**6)) for n in range(24)}
    for row in rows:
        assert (Path(row["input_file"]).read_bytes(), Path(row["file"]).read_bytes()) == known[row["caption"]]
        assert open_picture(Path(row["file"])).size == (64, 64)


def test_two_ranks_learn_what_one_with_twice_the_batch_does(toy_base, tmp_path):
    base = toy_base("sdxl")
    one = make(tmp_path, base, "sdxl/text_to_image", "one", train_batch_size=4, max_train_steps=2)
    two = make(tmp_path, base, "sdxl/text_to_image", "two", train_batch_size=2, max_train_steps=2, num_processes=2)
    assert toy.train(one) == 0, one.log.read_text()
    assert toy.train_ranks(two) == [0, 0], two.log.read_text()
    assert toy.difference(one.result, two.result) < 1e-4


def test_a_limit_and_no_judge(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sdxl"), "sdxl/text_to_image", held_out_share=0, max_train_samples=5)
    assert toy.train(run) == 0, run.log.read_text()
    assert json.loads((run.root / "shards.json").read_text())["training"] == 5 and manifest(run) == []


def reason(run, *arguments):
    assert toy.train(run, *arguments) == 1
    return toy.last_state(run)["reason"]


def test_other_shards_than_at_the_start_are_refused(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sdxl"), "sdxl/text_to_image")
    assert toy.train(run, fault="step.end=kill9@3") == -9
    write_tar(tmp_path / "shards" / "shard-000003.tar", pictures(2, first=90))
    assert "not those that this run began with" in reason(run, "--resume", "latest")


def test_a_damaged_shard_is_named_before_the_first_step(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sdxl"), "sdxl/text_to_image")
    shard = tmp_path / "shards" / "shard-000001.tar"
    shard.write_bytes(shard.read_bytes()[:5000])
    assert "shard-000001.tar" in reason(run) and not toy.events_of(run, "step")


def test_the_loss_of_each_picture_is_refused(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sdxl"), "sdxl/text_to_image", debug_loss=True)
    assert "Loss of each picture" in reason(run)


def test_a_prompt_for_edits_needs_a_picture_to_try_it_on(toy_base, tmp_path):
    run = make(tmp_path, toy_base("sd15"), "sd15/instruct_pix2pix", held_out_share=0, sample_prompts=["make it red"], sample_every=2)
    assert "no picture to try prompts on" in reason(run)


def test_a_manifest_of_the_studio_goes_before_a_folder_with_tars(toy_base, tmp_path):
    folder = write_shards(tmp_path / "shards")
    run = toy.make_run(tmp_path / "run", toy_base("sdxl"), max_train_steps=2, train_data_dir=str(folder))
    assert toy.train(run) == 0, run.log.read_text()
    assert len(manifest(run)) == 6 and not (run.root / "shards.json").exists()
    shutil.rmtree(folder)
