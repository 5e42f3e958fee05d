"""What is too much for the memory is read from the disk: the same batches, the same training, damage told."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from backends.contract.errors import DarkroomError
from backends.engine.cache import EncodedCache, compute_key, fill_cache
from backends.engine.data import list_run_buckets
from backends.engine.manifest import read_manifest
from backends.engine.order import Pick, SampleOrder
from backends.engine.pictures import place_item
from backends.engine.sources import encode_pictures, encode_prompts
from backends.engine.stored import StoredPictures
from backends.methods.protocol import Batch
from tests.backends.engine import toy
from tests.backends.loaded import CPU, load

ALONE = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}
KINDS = {"sdxl/text_to_image": {"caption_dropout": 0.4}, "sd15/instruct_pix2pix": {"conditioning_dropout_prob": 0.2}}
SIZES = [(64, 64)] * 5 + [(128, 64)] * 3


def equal(one: Batch, other: Batch) -> bool:
    assert one.moments.keys() == other.moments.keys() and one.conditions.keys() == other.conditions.keys()
    moments = all(torch.equal(a, b) for role in one.moments for a, b in zip(one.moments[role], other.moments[role], strict=True))
    told = all(torch.equal(t, other.conditions[role][name]) for role, named in one.conditions.items() for name, t in named.items())
    return one.indices == other.indices and moments and told


@pytest.mark.parametrize("name", KINDS)
def test_batches_from_the_disk_are_those_from_the_memory(toy_base, tmp_path, name):
    base = toy_base(name.partition("/")[0])
    loaded = load(name, base, **KINDS[name])
    run = toy.make_run(tmp_path / "run", base, name, sizes=SIZES, resolution=192)
    items = loaded.method.build_items(read_manifest(run.manifest))
    buckets = list_run_buckets(loaded.config.model_copy(update={"resolution": 192}))
    placements = [place_item(item, buckets) for item in items]
    texts = [text for item in items for text in item.captions.values()] + [""]
    sources: list[Any] = []
    for most in (None, 0):
        cache = EncodedCache(tmp_path / "cache", most_in_memory=most)
        prompts = encode_prompts(loaded.family, texts, cache, device=CPU, share=ALONE)
        more = {"cache": cache, "prompts": prompts, "mirrored": True, "device": CPU, "share": ALONE}
        sources.append(encode_pictures(loaded.family, items, placements, **more))
    kept, stored = sources
    assert isinstance(stored, StoredPictures) and not isinstance(kept, StoredPictures)
    groups = [next(iter(placement.values())).bucket for placement in placements]
    order = SampleOrder(groups, seed=1, batch_size=2, flip_share=0.5, dropped=loaded.method.plan_drops())
    judged = Pick(-1, [0, 1], [False] * 2, [frozenset()] * 2)
    assert equal(stored.fetch(order.pick(0)), kept.fetch(order.pick(0)))
    stored.read_ahead(partial(order.pick, rank=0))
    for position in (0, 1, 2, 7, 8, 3, 4):  # in turn, and not
        assert equal(stored.fetch(order.pick(position)), kept.fetch(order.pick(position))), position
        assert equal(stored.fetch(judged), kept.fetch(judged))


def test_a_run_that_reads_from_the_disk_learns_the_same(toy_base, tmp_path):
    name = "sd15/instruct_pix2pix"
    settings = {**KINDS[name], "random_flip": True, "gradient_accumulation_steps": 2, "max_train_steps": 4}
    plain = toy.make_run(tmp_path / "plain", toy_base(name.partition("/")[0]), name, **settings)
    stored = toy.copy_run(plain, tmp_path / "stored")
    assert toy.train(plain) == 0, plain.log.read_text()
    assert toy.train(stored, fault="step.end=kill9@3", TOY_MOST_IN_MEMORY="0") == -9
    assert toy.train(stored, "--resume", "latest", TOY_MOST_IN_MEMORY="0") == 0, stored.log.read_text()
    assert toy.difference(stored.result, plain.result) == 0
    told = [" ".join(e["text"] for e in toy.events_of(run, "notice")) for run in (plain, stored)]
    assert ["read from the disk" in text for text in told] == [False, True]


def test_what_is_damaged_is_encoded_anew_before_a_run_and_told_during_one(tmp_path):
    cache, keys = EncodedCache(tmp_path, most_in_memory=0), [compute_key(n) for n in range(5)]

    def encode(key: str) -> dict[str, torch.Tensor]:
        return {"mean": torch.full((2, 3), float(keys.index(key)))}

    assert fill_cache(cache, keys, encode, **ALONE) is None
    paths = {key: next(tmp_path.rglob(f"{key}.safetensors")) for key in keys}
    paths[keys[1]].write_bytes(paths[keys[1]].read_bytes()[:-1] + b"x")
    paths[keys[2]].unlink()
    assert fill_cache(cache, keys, encode, **ALONE) is None
    assert [cache.read_known(key)["mean"][0, 0].item() for key in keys] == [0, 1, 2, 3, 4]
    paths[keys[3]].write_bytes(b"torn")
    paths[keys[4]].unlink()
    for key in keys[3:]:
        with pytest.raises(DarkroomError, match="Resume the run"):
            cache.read_known(key)
