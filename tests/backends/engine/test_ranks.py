"""Ranks share the work and speak with one voice: each step, sample and checkpoint is written once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from backends.contract.rundir import RunDir
from backends.engine.ground import PATIENCE, join_ranks
from backends.engine.requests import Requests
from backends.train import leave
from tests.backends.engine import toy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def together(base, tmp_path_factory):
    """A finished run of two ranks, with samples and checkpoints."""
    folder = tmp_path_factory.mktemp("ranks")
    prompts = {"sample_prompts": ["zog on a red background"], "sample_every": 2}
    run = toy.make_run(folder / "run", base, num_processes=2, max_train_steps=4, log_every=1, **prompts)
    assert toy.train_ranks(run) == [0, 0], run.log.read_text()
    return run


def test_each_step_is_logged_once_with_the_mean_of_all_ranks(together):
    assert [e["step"] for e in toy.events_of(together, "step")] == [1, 2, 3, 4]
    assert [e["step"] for e in toy.events_of(together, "eval")] == [0, 2, 4]


def test_each_checkpoint_and_sample_is_written_once(together):
    assert [e["step"] for e in toy.events_of(together, "checkpoint")] == [2, 4]
    assert [e["step"] for e in toy.events_of(together, "sample")] == [0, 2, 4]
    assert [p.name for p in together.root.rglob("*.part")] == []


def test_the_run_begins_and_ends_once(together):
    assert [e["state"] for e in toy.events_of(together, "state")] == ["running", "finished"]
    assert len(toy.events_of(together, "result")) == 1


def test_what_the_ranks_encoded_together_serves_one_alone(together, base, tmp_path):
    """Six pictures, three captions and the empty one; a run of one rank finds every one of them and encodes none."""
    cache = together.root / "cache"
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")}
    assert len(before) == 6 + 3 + 1
    prompts = {"sample_prompts": ["zog on a red background"], "sample_every": 0}
    alone = toy.make_run(tmp_path / "alone", base, num_processes=1, max_train_steps=1, **prompts)
    assert toy.train(alone, DARKROOM_CACHE=str(cache)) == 0, alone.log.read_text()
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")} == before


def tell_patience(environment: dict[str, str], answer: Path) -> None:
    """How long a rank waits for the others, at a step's end and in agreeing on a stop, in seconds."""
    os.environ.update(environment)
    join_ranks(on_cpu=True)
    requests = Requests(RunDir(answer.parent), ranks=2, patience=PATIENCE)
    groups = (torch.distributed.group.WORLD, requests._group)
    answer.write_text(json.dumps([g._get_backend(torch.device("cpu")).options._timeout.total_seconds() for g in groups]))
    torch.distributed.barrier()  # rank 0 keeps the meeting place of both
    leave(0)


def test_ranks_wait_for_one_that_draws_or_saves_alone(tmp_path):
    """Not ten or thirty minutes, the usual: a full disk may wait over night for somebody."""
    answers = [tmp_path / "0.json", tmp_path / "1.json"]
    ranks = [
        toy._context.Process(target=tell_patience, args=(environment, answer))
        for environment, answer in zip(toy.describe_ranks(2), answers, strict=True)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(toy.DEADLINE_S)
    assert [json.loads(answer.read_text()) for answer in answers] == [[86_400, 86_400]] * 2


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_a_launcher_that_would_divide_the_model_is_refused(base, tmp_path, name):
    run = toy.make_run(tmp_path / "run", base)
    assert toy.train(run, **{f"ACCELERATE_USE_{name}": "true"}) == 1
    assert "this trainer does so itself, where launch.yaml" in toy.last_state(run)["reason"]
    assert not toy.events_of(run, "step")
