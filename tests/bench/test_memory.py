from __future__ import annotations

import pytest
import torch

from bench.memory import RESET, count_alive, forget_peak, read_peak_mib


def test_a_tensor_counts_once_however_often_it_is_seen():
    before = count_alive()
    kept = torch.zeros(1000, 1000)
    views = [kept[i:] for i in range(3)]
    assert count_alive() - before == 4_000_000
    del kept, views
    assert count_alive() == before


@pytest.mark.skipif(not RESET.exists(), reason="only Linux forgets a peak")
def test_the_peak_is_that_since_it_was_forgotten():
    big = torch.ones(40_000_000)
    high = read_peak_mib()
    del big
    forget_peak()
    assert high - read_peak_mib() > 100
