from __future__ import annotations

import pytest
import torch

from bench.caching import compare, count_alive, forget_peak, read_peak_mib


def test_a_tensor_counts_once_however_often_it_is_seen():
    before = count_alive()
    kept = torch.zeros(1000, 1000)
    views = [kept[i:] for i in range(3)]
    assert count_alive() - before == 4_000_000
    del kept, views
    assert count_alive() == before


@pytest.mark.skipif(not __import__("pathlib").Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_the_peak_is_that_since_it_was_forgotten():
    big = torch.ones(40_000_000)
    high = read_peak_mib()
    del big
    forget_peak()
    assert high - read_peak_mib() > 100


def test_both_ways_step_and_encoding_anew_takes_longer(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    told = compare("flux/text_to_image", 1, tmp_path, steps=1, rounds=1)
    assert set(told) >= {"kept cpu ms", "anew cpu ms", "kept/anew"}
