"""A program of the shape of the diffusers scripts is run step by step; the real ones are not part of the repository."""

from __future__ import annotations

import json
import sys

import pytest

from bench.diffusers_script import CHECKOUT, SCRIPTS, DiffusersScript, find_script
from bench.trainings import SAMPLES, Case

PROGRAM = """
import argparse
import json
from pathlib import Path

import torch

{constant}


def parse_args():
    parser = argparse.ArgumentParser()
    for name in {names!r}:
        parser.add_argument("--" + name)
    return parser.parse_args()


def main({parameter}):
    args = globals()["args"]
    Path(args.output_dir).mkdir()
    (Path(args.output_dir) / "told.json").write_text(json.dumps(vars(args)))
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight])
    for step in range({steps}):
        weight.sum().backward()
        optimizer.step()
        (Path(args.output_dir) / "steps").write_text(str(step + 1))
"""
ALWAYS = [
    "pretrained_model_name_or_path",
    "output_dir",
    "resolution",
    "train_batch_size",
    "learning_rate",
    "lr_scheduler",
    "max_train_steps",
    "checkpointing_steps",
    "seed",
    "cache_dir",
    "train_data_dir",
]
PAIRED = ["original_image_column", "edit_prompt_column", "edited_image_column", "conditioning_dropout_prob"]


def write_program(folder, names, *, constant="", parameter="", steps=100):
    path = folder / "program.py"
    path.write_text(PROGRAM.format(names=[*ALWAYS, *names], constant=constant, parameter=parameter, steps=steps))
    return path


def steps_of(case) -> int:
    return int((case.folder / "script" / "out" / "steps").read_text())


@pytest.mark.parametrize("parameter", ["", "given"])
def test_a_script_stands_still_between_turns_and_ends_where_it_stands(tmp_path, parameter):
    case = Case("sdxl/text_to_image_full", 4, "attention", tmp_path)
    own = list(sys.argv)
    script = DiffusersScript(write_program(tmp_path, ["caption_column"], parameter=parameter), case)
    script.run(2)
    assert steps_of(case) == 1  # the second is counted before the script writes it down
    script.run(3)
    assert steps_of(case) == 4
    script.close()
    assert steps_of(case) == 4
    assert sys.argv == own


def test_a_script_is_told_what_our_run_is_told_and_gets_the_pictures_with_captions(tmp_path):
    case = Case("sdxl/text_to_image_full", 4, "attention", tmp_path)
    script = DiffusersScript(write_program(tmp_path, ["caption_column"]), case)
    script.run(1)
    script.close()
    told = json.loads((tmp_path / "script" / "out" / "told.json").read_text())
    assert (told["train_batch_size"], told["resolution"], told["learning_rate"]) == ("4", "128", "0.0001")
    rows = [json.loads(line) for line in (tmp_path / "script" / "data" / "metadata.jsonl").read_text().splitlines()]
    captions = {p.with_suffix(".png").name: p.read_text().strip() for p in (SAMPLES / "zog").glob("*.txt")}
    assert {row["file_name"]: row["text"] for row in rows} == captions


def test_what_a_script_takes_for_granted_is_changed_in_a_copy(tmp_path):
    case = Case("sd15/instruct_pix2pix", 4, "attention", tmp_path)
    lines = 'WIDTHS = """\n    in_channels = 8\nnew_conv_in.weight[:, :4, :, :]\n"""'
    path = write_program(tmp_path, PAIRED, constant=lines)
    script = DiffusersScript(path, case)
    script.run(1)
    script.close()
    changed = (tmp_path / "script" / path.name).read_text()
    assert "in_channels = 2 * unet.config.in_channels" in changed
    assert ":4" not in changed
    rows = [json.loads(line) for line in (tmp_path / "script" / "data" / "metadata.jsonl").read_text().splitlines()]
    assert all((tmp_path / "script" / "data" / row["after_image_file_name"]).is_file() for row in rows)


def test_a_script_of_another_version_is_refused(tmp_path):
    case = Case("sd15/instruct_pix2pix", 4, "attention", tmp_path)
    with pytest.raises(SystemExit, match="in_channels = 8"):
        DiffusersScript(write_program(tmp_path, PAIRED), case)


def test_a_script_that_ends_early_says_so(tmp_path):
    case = Case("sdxl/text_to_image_full", 4, "attention", tmp_path)
    script = DiffusersScript(write_program(tmp_path, ["caption_column"], steps=2), case)
    with pytest.raises(RuntimeError, match="all its steps are done"):
        script.run(5)


def test_scripts_are_found_in_a_checkout_or_by_their_own_name(tmp_path, monkeypatch):
    monkeypatch.delenv(CHECKOUT, raising=False)
    assert find_script("sdxl/dreambooth") is None
    place = tmp_path / "examples" / SCRIPTS["sdxl/dreambooth"].place
    place.parent.mkdir(parents=True)
    place.touch()
    monkeypatch.setenv(CHECKOUT, str(tmp_path))
    assert find_script("sdxl/dreambooth") == place
    assert find_script("flux/text_to_image") is None
    with pytest.raises(SystemExit, match="train_dreambooth_lora_flux"):
        find_script("flux/dreambooth")
    monkeypatch.setenv(CHECKOUT, str(place))
    assert find_script("sdxl/dreambooth") == place
    assert find_script("flux/dreambooth") is None
