"""What a run reads of its captions: tags in many orders, all encoded before where they are encoded once, the same after a resume."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from backends.contract.caption_reading import Reading, TagOrders, split_tags
from backends.contract.rundir import RunDir
from backends.contract.shards import find_shards
from backends.engine.cache import EncodedCache
from backends.engine.data import build_data, list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.order import Pick, SampleOrder
from backends.engine.pictures import place_item
from backends.engine.reporter import Reporter
from backends.engine.shards.data import build_streamed_data
from backends.engine.shards.stream import open_shards
from studio.datasets.readings import preview_readings
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.manifest import read_rows, write_manifest
from studio.workspace import Workspace
from tests.backends.engine import toy
from tests.backends.engine.shards.tars import draw, write_tar
from tests.backends.loaded import CPU, load
from tests.backends.toys import draw_pictures

TAGS = "zog, red wall, smiling, waving, at night"
SHUFFLED = {"shuffle_tags": True, "keep_tags": 1, "tag_orders": 4}
ALONE = SimpleNamespace(device=CPU, num_processes=1, process_index=0, wait_for_everyone=lambda: None)


class Heard:
    """A source of prompts that remembers what it was asked for."""

    def __init__(self, prompts: Any) -> None:
        self._prompts, self.texts = prompts, []

    def conditions(self, texts):
        self.texts += texts
        return self._prompts.conditions(texts)


def make_ground(run, config, seed=1, rank=0, ranks=1) -> Any:
    alone = SimpleNamespace(**{**vars(ALONE), "num_processes": ranks, "process_index": rank})
    return SimpleNamespace(run=run, config=config, accelerator=alone, seed=seed, reporter=Reporter(None), check_stop=lambda: None)


def open_data(loaded, run, *, seed=1, **of_rank) -> tuple[Any, Heard, list[Any]]:
    """The trainer's own data of a run, what it asks of prompts, and its samples."""
    items = loaded.method.build_items(read_manifest(run.manifest))
    placements = [place_item(item, list_run_buckets(loaded.config)) for item in items]
    data = build_data(make_ground(run, loaded.config, seed, **of_rank), loaded.family, loaded.method, items, placements)
    source = data.source
    source._prompts = heard = Heard(source._prompts)
    return data, heard, items


def read_passes(data, heard, items, passes, batch_size) -> dict[str, list[str]]:
    """Id of each sample's picture -> what was read of its caption, showing by showing."""
    read = defaultdict(list)
    for position in range(passes * data.training // batch_size):
        heard.texts.clear()
        pick = data.order.pick(position)
        data.source.fetch(pick)
        for index, text in zip(pick.indices, heard.texts, strict=True):
            read[items[index].id].append(text)
    return read


def tagged_rows(folder, count=6):
    return [row | {"caption": f"{TAGS}, number {n}"} for n, row in enumerate(draw_pictures(folder, [(64, 64)] * count))]


def make_tagged(tmp_path, base, name="sdxl/text_to_image", **settings):
    return toy.make_run(tmp_path / "run", base, name, rows=tagged_rows(tmp_path / "own"), **settings)


@pytest.mark.parametrize("name", ["sdxl/text_to_image", "sd15/dreambooth", "flux/text_to_image"])
def test_every_order_is_encoded_before_and_all_come_equally_often(toy_base, tmp_path, name):
    base = toy_base(name.partition("/")[0])
    loaded = load(name, base, train_batch_size=1, **SHUFFLED)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, base, name))
    passes = 240
    read = read_passes(data, heard, items, passes, 1)
    assert len(read) == 5 and {len(texts) for texts in read.values()} == {passes}
    for item in items[1:]:
        (caption,) = item.captions.values()
        seen = Counter(read[item.id])
        assert len(seen) == 4 and caption in seen and max(abs(n - passes / 4) for n in seen.values()) < 5 * (passes / 4) ** 0.5
        assert {split_tags(text)[0] for text in seen} == {"zog"}
        assert {tuple(sorted(split_tags(text))) for text in seen} == {tuple(sorted(split_tags(caption)))}
    heard.texts.clear()
    data.judge_source.fetch(Pick(-1, [0, 1], [False] * 2, [frozenset()] * 2))
    assert heard.texts == [next(iter(item.captions.values())) for item in items[:2]]  # judged by what is written


def test_without_it_captions_are_read_as_they_are_written(toy_base, tmp_path):
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=1)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, toy_base("sdxl")))
    read = read_passes(data, heard, items, 20, 1)
    assert all(set(texts) == {item.captions["image"]} for item in items[1:] for texts in [read[item.id]])


@pytest.mark.parametrize("free", [{"cache_latents": False}, {"train_text_encoder": True}])
def test_where_captions_are_encoded_each_time_any_order_comes(toy_base, tmp_path, free):
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=1, **SHUFFLED, **free)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, toy_base("sdxl")))
    read = read_passes(data, heard, items, 40, 1)
    for item in items[1:]:
        how = Reading(1, 0.0, TagOrders(1, None))
        assert read[item.id] == [how.read(item.captions["image"], item.id, visit) for visit in range(40)]
        assert len(set(read[item.id])) > 20 and {split_tags(text)[0] for text in read[item.id]} == {"zog"}


def test_shards_take_part(toy_base, tmp_path):
    members = [(f"{n:03d}", {"png": draw(n), "txt": f"{TAGS}, number {n}".encode()}) for n in range(8)]
    write_tar(tmp_path / "shards" / "0.tar", members)
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=2, train_data_dir=str(tmp_path / "shards"), **SHUFFLED)
    share = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}
    samples = open_shards(find_shards(tmp_path / "shards"), tmp_path / "cache", pairs=False, held_out_share=0, limit=None, share=share)
    told = []
    for _ in range(2):
        ground = make_ground(RunDir(tmp_path), loaded.config)
        data = build_streamed_data(ground, loaded.family, loaded.method, samples, judging=([], []))
        heard = data.source._prompts = Heard(data.source._prompts)
        for position in range(40):
            data.source.fetch(data.order.pick(position))
        told.append(heard.texts)
    assert told[0] == told[1] and len(set(told[0])) > 50
    assert {split_tags(text)[0] for text in told[0]} == {"zog"} and {len(split_tags(text)) for text in told[0]} == {6}


def test_pictures_of_the_class_are_told_their_prompt_as_it_is(toy_base, tmp_path):
    prior = {**toy.PRIOR, "class_prompt": "a dog, a cat, a bird, a cow", "instance_prompt": ""}
    loaded = load("sd15/dreambooth", toy_base("sd15"), train_batch_size=1, **prior, **SHUFFLED)
    own = tagged_rows(tmp_path / "own")
    kept = [row | {"class_picture": True, "held_out": False} for row in draw_pictures(tmp_path / "class", [(64, 64)] * 2, seed=9)]
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/dreambooth", rows=[*own, *kept], **prior)
    data, heard, _ = open_data(loaded, run)
    for position in range(60):
        data.source.fetch(data.order.pick(position))
    assert len({text for text in heard.texts if text.startswith("zog")}) > 10
    assert {text for text in heard.texts if not text.startswith("zog")} == {prior["class_prompt"]}


def test_a_picture_that_is_repeated_is_not_read_alike_each_time_of_a_pass(toy_base, tmp_path):
    loaded = load("sd15/dreambooth", toy_base("sd15"), train_batch_size=1, repeats=6, caption_dropout=0.5, **SHUFFLED)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, toy_base("sd15"), "sd15/dreambooth", repeats=6))
    read = read_passes(data, heard, items, 1, 1)
    assert {len(texts) for texts in read.values()} == {6} and all(len(set(texts)) > 1 for texts in read.values())


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_read_what_one_does_and_any_position_can_be_asked_for(ranks):
    names = [f"picture {n}" for n in range(12)]
    one = SampleOrder(["square"] * 12, seed=3, batch_size=2 * ranks, names=names)
    many = SampleOrder(["square"] * 12, seed=3, batch_size=2, ranks=ranks, names=names)
    for position in reversed(range(50)):
        parts = [many.pick(position, rank) for rank in range(ranks)]
        assert [order for part in parts for order in part.orders] == one.pick(position).orders


def test_what_is_drawn_for_a_picture_is_not_changed_by_batches_or_buckets():
    names = [f"picture {n}" for n in range(12)]
    drawn = []
    for groups, batch_size in ((["square"] * 12, 2), (["square"] * 7 + ["wide"] * 5, 3)):
        order, seen = SampleOrder(groups, seed=3, batch_size=batch_size, names=names), defaultdict(list)
        for position in range(60):
            for index, number in zip(order.pick(position).indices, order.pick(position).orders, strict=True):
                seen[index].append(number)
        drawn.append({index: numbers[:8] for index, numbers in seen.items()})
    assert drawn[0] == drawn[1] and len(drawn[0]) == 12


@pytest.mark.parametrize("name", ["sdxl/text_to_image", "sd15/dreambooth"])
def test_a_run_that_shuffles_ends_the_same_killed_by_two_and_stored(toy_base, tmp_path, name):
    base = toy_base(name.partition("/")[0])
    settings = {**SHUFFLED, "caption_dropout": 0.3, "max_train_steps": 4}
    whole = make_tagged(tmp_path, base, name, **settings)
    killed, stored, plain = (toy.copy_run(whole, tmp_path / part) for part in ("killed", "stored", "plain"))
    plain.config.write_text(plain.config.read_text().replace("shuffle_tags: true", "shuffle_tags: false"))
    assert toy.train(whole) == 0, whole.log.read_text()
    assert toy.train(killed, fault="step.end=kill9@3") == -9
    assert toy.train(killed, "--resume", "latest") == 0, killed.log.read_text()
    assert toy.train(stored, TOY_MOST_IN_MEMORY="0") == 0, stored.log.read_text()
    assert toy.train(plain) == 0, plain.log.read_text()
    assert toy.difference(killed.result, whole.result) == toy.difference(stored.result, whole.result) == 0
    assert toy.difference(plain.result, whole.result) > 0


def test_two_ranks_learn_what_one_with_twice_the_batch_does(toy_base, tmp_path):
    settings = {**SHUFFLED, "caption_dropout": 0.3, "max_train_steps": 2}
    one = make_tagged(tmp_path, toy_base("sdxl"), **settings, train_batch_size=4)
    two = toy.copy_run(one, tmp_path / "two")
    two.config.write_text(one.config.read_text().replace("train_batch_size: 4", "train_batch_size: 2"))
    assert toy.train(one) == 0, one.log.read_text()
    assert toy.train_ranks(two) == [0, 0], two.log.read_text()
    assert toy.difference(one.result, two.result) < 1e-4


def test_another_number_of_orders_uses_what_was_encoded_and_adds_what_lacks(toy_base, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(EncodedCache, "write", lambda self, key, tensors, write=EncodedCache.write: (written.append(key), write(self, key, tensors)))
    run, counts = make_tagged(tmp_path, toy_base("sdxl")), []
    for orders in (4, 8, 4):
        loaded = load("sdxl/text_to_image", toy_base("sdxl"), **{**SHUFFLED, "tag_orders": orders})
        open_data(loaded, run, seed=orders)
        counts.append(len(written))
    # five pictures in four orders, the one that judges, the empty prompt; six pictures
    assert counts == [5 * 4 + 1 + 1 + 6, counts[0] + 5 * 4, counts[1]]
    assert len(written) == len(set(written))


def test_the_preview_of_a_data_set_is_what_the_trainer_reads(toy_base, tmp_path):
    """The studio's own data set, frozen as for a run, read by the trainer's own source of batches."""
    workspace = Workspace(tmp_path / "workspace")
    store = DatasetStore(workspace)
    dataset = create_sample_dataset(store, "zog").id
    for number, picture in enumerate(store.pictures(dataset)):
        store.write_texts(dataset, {picture.id: f"{TAGS}, number {number}"}) if hasattr(store, "write_texts") else None
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    write_manifest(run, read_rows(workspace, dataset, store.training_pictures(dataset)), share=0.1)
    settings = {"caption_dropout": 0.25, **SHUFFLED}
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=2, trigger_word="zog", **settings)
    data, heard, items = open_data(loaded, run, seed=7)
    read = read_passes(data, heard, items, 8, 2)
    shown = preview_readings(store, dataset, Reading(7, 0.25, TagOrders(1, 4, "zog")), passes=5)
    learnt = {json.loads(line)["id"] for line in run.manifest.read_text().splitlines() if not json.loads(line)["held_out"]}
    assert {row.content for row in shown} > learnt
    for row in shown:
        if row.content in learnt:
            assert [one.text for one in row.passes] == read[row.content][:5]
    told = [one.text for row in shown for one in row.passes]
    assert "" in told and len(set(told)) > len(shown)
