"""What was encoded is found again, whole, or encoded anew."""

from __future__ import annotations

import threading

import pytest
import torch

from backends.engine.cache import EncodedCache, compute_key, fill_cache
from tests.backends.engine import toy


def entry(value: float) -> dict[str, torch.Tensor]:
    return {"mean": torch.full((2, 3), value), "deviation": torch.ones(2, 3, dtype=torch.bfloat16)}


def test_an_entry_comes_back_as_it_was(tmp_path):
    cache, key = EncodedCache(tmp_path), compute_key("a", 1)
    assert cache.read(key) is None
    cache.write(key, entry(4.0))
    found = cache.read(key)
    assert found is not None and all(torch.equal(found[name], tensor) for name, tensor in entry(4.0).items())
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_entry_is_noticed_and_made_anew(tmp_path, damage):
    cache, key = EncodedCache(tmp_path), compute_key("a")
    cache.write(key, entry(4.0))
    path = next(tmp_path.rglob("*.safetensors"))
    data = path.read_bytes()
    path.write_bytes({"flip": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-9], "empty": b""}[damage])
    share = {"rank": 0, "ranks": 1, "wait": lambda: None, "on_done": lambda done, total: None}
    found = fill_cache(cache, [key], lambda key: entry(5.0), **share)
    assert torch.equal(found[key]["mean"], entry(5.0)["mean"])
    assert cache.damaged == [path.name]


def test_ranks_share_what_is_missing_and_each_ends_with_everything(tmp_path):
    keys = [compute_key(i) for i in range(7)]
    barrier, encoded, results = threading.Barrier(2), {0: [], 1: []}, {}

    def be_rank(rank: int) -> None:
        def encode(key: str) -> dict[str, torch.Tensor]:
            encoded[rank].append(key)
            return entry(keys.index(key))

        share = {"rank": rank, "ranks": 2, "wait": barrier.wait, "on_done": lambda done, total: None}
        results[rank] = fill_cache(EncodedCache(tmp_path), keys, encode, **share)

    threads = [threading.Thread(target=be_rank, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(encoded[0] + encoded[1]) == sorted(keys)
    assert min(len(encoded[0]), len(encoded[1])) == 3
    for rank in range(2):
        assert [results[rank][key]["mean"][0, 0].item() for key in keys] == list(range(7))


def test_a_second_run_encodes_nothing_and_trains_the_same(finished, tmp_path):
    run = toy.copy_run(finished, tmp_path / "run")
    cache = finished.root / "cache"
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")}
    assert len(before) == 8 * 2 + 4  # pictures upright and mirrored, three captions and the empty one
    assert toy.train(run, DARKROOM_CACHE=str(cache)) == 0, run.log.read_text()
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")} == before
    assert not (run.root / "cache").exists()
    assert toy.difference(run.result, finished.result) == 0


def test_without_the_cache_the_same_is_learnt(finished, tmp_path):
    """Encoded one by one or in a batch, values differ by rounding only."""
    run = toy.copy_run(finished, tmp_path / "run")
    run.config.write_text(
        run.config.read_text().replace("cache_latents: true", "cache_latents: false").replace("num_workers: 0", "num_workers: 2")
    )
    assert toy.train(run) == 0, run.log.read_text()
    assert not (run.root / "cache").exists()
    assert toy.difference(run.result, finished.result) < 1e-3
