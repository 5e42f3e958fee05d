"""What a run draws of itself: pairs that are really held out, and prompts; never what was only asked for."""

from __future__ import annotations

import json

import pytest

from backends.contract.config import parse_config, write_config
from backends.contract.rundir import RunDir
from backends.registry import find_backend
from studio.runs.drawn import Drawn, count_drawn

EDITS = "sd15/instruct_pix2pix"


def write_run(folder, backend, *, held_out=0, **settings):
    run = RunDir(folder)
    write_config(run.config, parse_config(find_backend(backend).config, settings), backend, {})
    rows = [{"id": str(n), "file": f"{n}.png", "held_out": n < held_out} for n in range(held_out + 3)]
    run.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


@pytest.mark.parametrize(
    ("held_out", "asked", "prompts", "drawn"),
    [
        (5, 4, [], Drawn(4, 0)),
        (1, 4, [], Drawn(1, 0)),
        (0, 4, [], Drawn(0, 0)),
        (2, 0, ["make it blue"], Drawn(0, 1)),
        (1, 4, ["make it blue", "make it red"], Drawn(1, 2)),
    ],
)
def test_of_pairs_those_held_out_are_drawn_and_prompts_are_no_pairs(tmp_path, held_out, asked, prompts, drawn):
    assert count_drawn(write_run(tmp_path, EDITS, held_out=held_out, num_sample_pairs=asked, sample_prompts=prompts)) == drawn


def test_the_validation_prompt_is_drawn_too(tmp_path):
    run = write_run(tmp_path, "sdxl/text_to_image", held_out=2, sample_prompts=["zog"], validation_prompt="zog on a beach")
    assert count_drawn(run) == Drawn(0, 2)


@pytest.mark.parametrize(("every", "drawn"), [(0, Drawn()), (50, Drawn(0, 1))])
def test_ai_toolkit_draws_nothing_where_it_is_told_of_no_samples(tmp_path, every, drawn):
    assert count_drawn(write_run(tmp_path, "flux/ai_toolkit", sample_every=every, sample_prompts=["zog"])) == drawn


def test_a_run_whose_settings_are_gone_draws_nothing(tmp_path):
    assert count_drawn(RunDir(tmp_path)) == Drawn()
