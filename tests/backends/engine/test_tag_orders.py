"""What a run reads of its captions: tags in many orders, all encoded before where they are encoded once, the same after a resume."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from backends.contract.caption_reading import Reading, TagOrders, draw_order, split_tags
from backends.contract.rundir import RunDir
from backends.contract.settings.pictures import plan_orders
from backends.contract.shards import find_shards
from backends.engine import cache
from backends.engine.cache import EncodedCache
from backends.engine.data import build_data, list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.order import Pick, SampleOrder
from backends.engine.pictures import place_item
from backends.engine.reporter import Reporter
from backends.engine.shards.data import build_streamed_data
from backends.engine.shards.stream import open_shards
from backends.engine.sources import EncodedPictures
from backends.engine.stored import StoredPrompts
from studio.datasets.captions import change_captions
from studio.datasets.history import Cause
from studio.datasets.readings import preview_readings
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from studio.runs.manifest import read_rows, write_manifest
from studio.workspace import open_workspace
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


def learnt_of(items):
    return [item for item in items if not item.held_out]


def tagged_rows(folder, count=6, tags=TAGS):
    rows = enumerate(draw_pictures(folder, [(64, 64)] * count))
    return [row | {"caption": f"{tags}, number {n}" if tags is TAGS else tags} for n, row in rows]


def make_tagged(tmp_path, base, name="sdxl/text_to_image", **settings):
    tags = "zog, red, green, blue, background" if name.startswith("flux") else TAGS  # a toy's T5 knows hardly any word
    return toy.make_run(tmp_path / "run", base, name, rows=tagged_rows(tmp_path / "own", tags=tags), **settings)


@pytest.mark.parametrize("name", ["sdxl/text_to_image", "sd15/dreambooth", "flux/text_to_image"])
def test_every_order_is_encoded_before_and_all_come_equally_often(toy_base, tmp_path, name):
    base = toy_base(name.partition("/")[0])
    loaded = load(name, base, train_batch_size=1, **SHUFFLED)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, base, name))
    passes = 240
    read = read_passes(data, heard, items, passes, 1)
    assert len(read) == 5 and {len(texts) for texts in read.values()} == {passes}
    for item in learnt_of(items):
        (caption,) = item.captions.values()
        seen = Counter(read[item.id])
        assert len(seen) == 4 and caption in seen and max(abs(n - passes / 4) for n in seen.values()) < 5 * (passes / 4) ** 0.5
        assert {split_tags(text)[0] for text in seen} == {"zog"}
        assert {tuple(sorted(split_tags(text))) for text in seen} == {tuple(sorted(split_tags(caption)))}
    heard.texts.clear()
    data.judge_source.fetch(Pick(-1, [0, 1], [False] * 2, [frozenset()] * 2))
    assert heard.texts == [next(iter(item.captions.values())) for item in items[:2]]  # judged by what is written


def test_captions_that_are_too_many_for_the_memory_are_read_from_the_disk_and_the_same(toy_base, tmp_path, monkeypatch):
    run, told = make_tagged(tmp_path, toy_base("sdxl")), []
    for most in (2**31, 50_000):  # six pictures are less, the captions more
        loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=2, **SHUFFLED)
        monkeypatch.setattr(cache, "MOST_IN_MEMORY", most)
        data, heard, _ = open_data(loaded, run)
        assert isinstance(data.source, EncodedPictures) and isinstance(heard._prompts, StoredPrompts) is (most == 50_000)
        told.append([data.source.fetch(data.order.pick(position)).conditions["image"] for position in range(20)])
    assert all(torch.equal(one[name], other[name]) for one, other in zip(*told, strict=True) for name in one)


def test_without_it_captions_are_read_as_they_are_written(toy_base, tmp_path):
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=1)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, toy_base("sdxl")))
    read = read_passes(data, heard, items, 20, 1)
    assert all(set(texts) == {item.captions["image"]} for item in learnt_of(items) for texts in [read[item.id]])


@pytest.mark.parametrize("free", [{"cache_latents": False}, {"train_text_encoder": True}])
def test_where_captions_are_encoded_each_time_any_order_comes(toy_base, tmp_path, free):
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=1, **SHUFFLED, **free)
    data, heard, items = open_data(loaded, make_tagged(tmp_path, toy_base("sdxl")))
    read = read_passes(data, heard, items, 40, 1)
    for item in learnt_of(items):
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


@pytest.mark.parametrize(("groups", "batch_size"), [(["square"] * 12, 1), (["square"] * 12, 5), (["square"] * 7 + ["wide"] * 5, 3)])
def test_what_is_drawn_for_a_picture_depends_on_its_showing_and_on_no_batch_or_bucket(groups, batch_size):
    names = [f"picture {n}" for n in range(12)]
    order, seen = SampleOrder(groups, seed=3, batch_size=batch_size, names=names), defaultdict(list)
    for position in range(12 * 9 // batch_size):
        pick = order.pick(position)
        for index, number in zip(pick.indices, pick.orders, strict=True):
            seen[index].append(number)
    for index, numbers in seen.items():
        wanted = [draw_order(3, names[index], turn) for turn in range(12)]
        assert set(wanted[:7]) <= set(numbers)
        # where batches do not end with a pass, two showings that follow each other may change places
        assert all(abs(wanted.index(number) - turn) <= (batch_size > 1) for turn, number in enumerate(numbers))


@pytest.mark.parametrize("name", ["sdxl/text_to_image", "sd15/dreambooth"])
def test_a_run_that_shuffles_ends_the_same_killed_and_stored(toy_base, tmp_path, name):
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
    two.config.write_text(
        one.config.read_text().replace("train_batch_size: 4", "train_batch_size: 2").replace("num_processes: 1", "num_processes: 2")
    )
    assert toy.train(one) == 0, one.log.read_text()
    assert toy.train_ranks(two) == [0, 0], two.log.read_text()
    assert toy.difference(one.result, two.result) < 1e-4


def test_another_number_of_orders_uses_what_was_encoded_and_adds_what_lacks(toy_base, tmp_path, monkeypatch):
    written, write = [], EncodedCache.write
    monkeypatch.setattr(EncodedCache, "write", lambda self, key, tensors: (written.append(key), write(self, key, tensors)))
    run, counts = make_tagged(tmp_path, toy_base("sdxl")), []
    for orders in (4, 8, 4):
        loaded = load("sdxl/text_to_image", toy_base("sdxl"), **{**SHUFFLED, "tag_orders": orders})
        open_data(loaded, run, seed=orders)
        counts.append(len(written))
    # five pictures in four orders, the one that judges, the empty prompt; six pictures
    assert counts == [5 * 4 + 1 + 1 + 6, counts[0] + 5 * 4, counts[1]]
    assert len(written) == len(set(written))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_preview_of_a_data_set_is_what_the_trainer_reads(toy_base, tmp_path, batch_size):
    """The studio's own data set, frozen as for a run, read by the trainer's own source of batches."""
    workspace = open_workspace(tmp_path / "workspace")
    store = DatasetStore(workspace)
    dataset = create_sample_dataset(store, "zog").id
    texts = {picture.id: f"{TAGS}, number {number}" for number, picture in enumerate(store.pictures(dataset))}
    change_captions(store, dataset, texts, by="person", cause=Cause("replace", many=True))
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    write_manifest(run, read_rows(workspace, dataset, store.training_pictures(dataset)), share=0.1)
    settings = {"caption_dropout": 0.25, **SHUFFLED}
    loaded = load("sdxl/text_to_image", toy_base("sdxl"), train_batch_size=batch_size, trigger_word="zog", **settings)
    data, heard, items = open_data(loaded, run, seed=7)
    read = read_passes(data, heard, items, 8, batch_size)
    reading = Reading(7, loaded.config.caption_dropout, plan_orders(loaded.config))
    shown = preview_readings(store, dataset, reading, passes=10, most=60)
    learnt = {item.id for item in learnt_of(items)}
    assert {row.content for row in shown} > learnt == read.keys()
    for row in shown:
        heard_of = read.get(row.content, [])
        assert heard_of == list(row.passes[: len(heard_of)]) or batch_size > 1
        # where batches do not end with a pass, two showings that follow each other may change places
        assert all(text in row.passes[max(0, turn - 1) : turn + 2] for turn, text in enumerate(heard_of))
    told = [text for row in shown for text in row.passes]
    assert "" in told and len(set(told)) > len(shown)
