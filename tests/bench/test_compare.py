"""The floor is one: it takes the operations that the worker takes, and nothing beside."""

from __future__ import annotations

import pytest

from bench.compare import EVERYTHING, PROMPTS, RANK, make_comparison, make_floor, make_switches
from bench.turns import take_turns
from tests.adapters import write_adapter
from tests.bench.counting import count_operations


@pytest.fixture
def adapters(tmp_path):
    return [write_adapter(tmp_path / f"step_{i}.safetensors", i, rank=RANK, layers=EVERYTHING) for i in range(2)]


def test_the_floor_takes_the_operations_of_the_comparison(adapters, tmp_path):
    ours, floor = make_comparison(adapters[:1], tmp_path, steps=1), make_floor(adapters[:1], steps=1)
    ours(1)  # the prompts are read once
    assert count_operations(ours) == count_operations(floor) > 0
    assert len(list(tmp_path.glob("step_0_*.png"))) == len(PROMPTS)


def test_diffusers_unloads_between_its_turns(adapters):
    """A name that is still loaded would be refused."""
    loops, unload = make_switches(adapters)
    found = take_turns(loops, steps=1, rounds=2, warm_up=1, between=unload)
    assert {name: len(spent) for name, spent in found.items()} == {"ours": 2, "load and set": 2}
