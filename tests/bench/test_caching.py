from __future__ import annotations

from bench.caching import build_loops
from tests.bench.counting import count_operations


def test_both_ways_step_and_encoding_anew_takes_operations_that_keeping_spares(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    loops = build_loops("flux/text_to_image", 1, tmp_path)
    taken = {way: count_operations(loop) for way, loop in loops.items()}
    assert taken["anew"] > 1.2 * taken["kept"] > 0
