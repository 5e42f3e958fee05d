"""The edit pairs are what their drawing code draws, and are a good data set with a bad one to compare with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer

from assets.build.colours import COLOURS
from assets.build.draw_pairs import draw_mask, draw_scene, write_set
from assets.build.draw_samples import SAMPLES
from assets.build.evaluate import BASES, MODELS, read_background
from assets.build.pairs import HELD_OUT_THINGS, plan_held_out, plan_training, spoil

SETS = {"edits": plan_training, "edits_held_out": plan_held_out}


def read_set(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text("utf-8").splitlines()]


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"), np.int16)


def files_in(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", SETS)
def test_every_pair_is_whole_of_one_size_and_under_an_instruction(name):
    rows = read_set(SAMPLES / name)
    for row in rows:
        assert set(row) == {"input_image", "instruction", "output_image"}
        assert row["instruction"].strip()
        before, after = (pixels(SAMPLES / name / row[key]) for key in ("input_image", "output_image"))
        assert before.shape == after.shape == (128, 128, 3)
        assert np.abs(before - after).max() > 40
    named = {row[key] for row in rows for key in ("input_image", "output_image")}
    assert len(named) == 2 * len(rows)
    masks = {f"masks/{Path(row['input_image']).stem}.png" for row in rows} if name == "edits_held_out" else set()
    assert files_in(SAMPLES / name) == named | masks | {"metadata.jsonl"}


@pytest.mark.parametrize("name", SETS)
def test_every_pair_is_drawn_again_by_the_code_that_is_shipped(name):
    for row, plan in zip(read_set(SAMPLES / name), SETS[name](), strict=True):
        assert row["instruction"] == plan.instruction
        for key, scene in (("input_image", plan.before), ("output_image", plan.after)):
            assert np.array_equal(pixels(SAMPLES / name / row[key]), np.asarray(draw_scene(scene), np.int16))


def test_there_are_200_pairs_of_three_kinds_and_every_colour_is_asked_for_equally_often():
    instructions = [row["instruction"] for row in read_set(SAMPLES / "edits")]
    assert len(instructions) >= 200
    assert sum(bool(re.fullmatch("turn the .+ into .+", text)) for text in instructions) >= 30
    assert all(instructions.count(f"make it {size}") >= 15 for size in ("bigger", "smaller"))
    asked = [text.split()[-1] for text in instructions if "background" in text]
    assert {colour: asked.count(colour) for colour in COLOURS} == dict.fromkeys(COLOURS, len(asked) // len(COLOURS))


def test_the_output_is_what_the_instruction_asks_for():
    for row, plan in zip(read_set(SAMPLES / "edits"), plan_training(), strict=True):
        with Image.open(SAMPLES / "edits" / row["output_image"]) as after:
            background = read_background(after)
        words = row["instruction"].split()
        if "background" in words:
            assert background == words[-1] != plan.before.colour
            assert plan.before.drawing == plan.after.drawing
        elif "bigger" in words or "smaller" in words:
            assert (plan.after.size > plan.before.size) == ("bigger" in words)
            assert abs(plan.after.size - plan.before.size) > 0.2
        else:
            assert plan.after.drawing[1] != plan.before.drawing[1] and plan.after.drawing[1] in row["instruction"]


def test_no_held_out_thing_is_among_the_training_pairs():
    shown = {scene.drawing[1] for plan in plan_training() for scene in (plan.before, plan.after)}
    held_out = [plan.before.drawing for plan in plan_held_out()]
    assert len(set(held_out)) == 20
    assert {thing for _, thing in held_out} == set(HELD_OUT_THINGS)
    assert not shown & set(HELD_OUT_THINGS)


def test_a_held_out_pairs_mask_tells_subject_and_background_apart():
    for row, plan in zip(read_set(SAMPLES / "edits_held_out"), plan_held_out(), strict=True):
        with Image.open(SAMPLES / "edits_held_out" / "masks" / f"{Path(row['input_image']).stem}.png") as stored:
            mask = np.asarray(stored)
        assert np.array_equal(mask, np.asarray(draw_mask(plan.before)))
        assert 0.1 < mask.mean() < 0.8
        before, after = (pixels(SAMPLES / "edits_held_out" / row[key]) for key in ("input_image", "output_image"))
        assert row["instruction"] == "make the background blue"
        assert np.abs(before - after)[mask].mean() < 6
        assert np.median(np.abs(after[~mask] - COLOURS["blue"])) == 0
        assert np.median(np.abs(before[~mask] - COLOURS[plan.before.colour])) == 0


def test_in_the_control_set_no_instruction_fits_its_picture():
    plans = plan_training()
    right = [plan.instruction for plan in plans]
    wrong = spoil(right)
    assert sorted(wrong) == sorted(right)
    assert all(a != b for a, b in zip(right, wrong, strict=True))
    asked = [text.split()[-1] if "background" in text else None for text in wrong]
    assert not any(plan.after.colour == colour for plan, colour in zip(plans, asked, strict=True) if "background" in plan.instruction)


def test_the_control_set_has_the_same_pictures_under_other_instructions(tmp_path):
    plans = plan_training()[:12]
    write_set(tmp_path, plans, wrong=True)
    for right, wrong in zip(read_set(SAMPLES / "edits"), read_set(tmp_path), strict=False):
        assert right["instruction"] != wrong["instruction"]
        assert wrong["instruction"] in {plan.instruction for plan in plans}
        for key in ("input_image", "output_image"):
            assert np.array_equal(pixels(tmp_path / wrong[key]), pixels(SAMPLES / "edits" / right[key]))


def test_instructions_of_which_most_are_alike_cannot_be_spoilt():
    with pytest.raises(ValueError, match="Give more different ones"):
        spoil(["make it bigger", "make it bigger", "make it smaller"])


@pytest.mark.parametrize("base", BASES)
def test_every_instruction_fits_into_the_bases_vocabularies(base):
    instructions = [plan.instruction for plan in plan_training() + plan_held_out()]
    for folder in (f for f in (MODELS / base).glob("tokenizer*") if f.is_dir()):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = tokenizer(instructions, padding=False, truncation=False).input_ids
        assert max(map(len, ids)) <= 24
        assert base == "pocket-flux" or tokenizer.decode(ids[0], skip_special_tokens=True).strip() == instructions[0]


def test_the_pairs_stay_under_2_mb():
    assert sum(f.stat().st_size for name in SETS for f in (SAMPLES / name).rglob("*") if f.is_file()) < 2_000_000
