"""A program of the shape of the diffusers scripts is run step by step; the real ones are not part of the repository."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from bench.diffusers_script import CHECKOUT, SCRIPTS, DiffusersScript, ScriptEndedError, find_script
from bench.trainings import SAMPLES, Case
from tests.bench.program import PAIRED, write_program


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


def test_a_script_of_another_version_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKOUT, str(write_program(tmp_path, PAIRED, name="train_instruct_pix2pix.py")))
    with pytest.raises(SystemExit, match="in_channels = 8"):
        find_script("sd15/instruct_pix2pix")


def test_a_script_that_ends_early_says_so(tmp_path):
    case = Case("sdxl/text_to_image_full", 4, "attention", tmp_path)
    script = DiffusersScript(write_program(tmp_path, ["caption_column"], steps=2), case)
    with pytest.raises(ScriptEndedError, match="all its steps are done"):
        script.run(5)
    script.close()


def test_a_script_without_room_is_told_from_one_that_fails(tmp_path):
    case = Case("sdxl/text_to_image_full", 4, "attention", tmp_path)
    script = DiffusersScript(write_program(tmp_path, ["caption_column"], steps=1, ending="raise torch.OutOfMemoryError('no room')"), case)
    script.run(1)
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        script.run(1)


def test_scripts_are_found_in_a_checkout_or_by_their_own_name(tmp_path, monkeypatch):
    monkeypatch.delenv(CHECKOUT, raising=False)
    assert find_script("sdxl/dreambooth") is None
    place = tmp_path / "examples" / SCRIPTS["sdxl/dreambooth"].place
    place.parent.mkdir(parents=True)
    place.write_text("")
    monkeypatch.setenv(CHECKOUT, str(tmp_path))
    assert find_script("sdxl/dreambooth") == place
    assert find_script("flux/text_to_image") is None
    with pytest.raises(SystemExit, match="train_dreambooth_lora_flux"):
        find_script("flux/dreambooth")
    monkeypatch.setenv(CHECKOUT, str(place))
    assert find_script("sdxl/dreambooth") == place
    assert find_script("flux/dreambooth") is None
