"""Drawing and editing as a person types it, with every kind of result."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner

from studio.cli.root import app
from studio.workspace import open_workspace
from tests.adapters import write_adapter
from tests.edit_runs import sample_picture, write_edit_run

pytestmark = pytest.mark.slow
QUICK = ("--set", "num_inference_steps=2")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = open_workspace(tmp_path_factory.mktemp("workspace"))
    write_edit_run(made, "edits")
    return made


@pytest.fixture(scope="module")
def studio(workspace):
    """Runs one command; (exit code, JSON value)."""
    runner = CliRunner()

    def run(*arguments):
        done = runner.invoke(app, [*map(str, arguments), "--workspace", str(workspace.root), "--json"])
        assert "Traceback" not in done.output
        return done.exit_code, json.loads(done.stdout)

    return run


def settings(path):
    return json.loads(Image.open(path).info["darkroom"])


def test_a_picture_is_edited_by_a_runs_model_or_by_a_file(studio, workspace, tmp_path):
    code, by_run = studio("edit", sample_picture(), "make it red", "--model", "edits@40", *QUICK, "--out", tmp_path)
    assert code == 0, by_run
    path = by_run["pictures"][0]
    told = settings(path)
    assert (told["prompt"], told["base_model"], told["image_guidance_scale"]) == ("make it red", "pocket-sd15", 1.5)
    weights = workspace.runs / "edits" / "checkpoints" / "step_000040" / "unet.safetensors"
    code, by_file = studio("edit", sample_picture(), "make it red", "-m", weights, *QUICK, "-s", "image_guidance_scale=1.5")
    assert code == 0, by_file
    assert Image.open(path).tobytes() == Image.open(by_file["pictures"][0]).tobytes()


@pytest.mark.parametrize("base", ["pocket-sd15", "pocket-sdxl", "pocket-flux"])
def test_a_lora_of_every_family_draws_with_the_base_that_it_was_trained_from(studio, tmp_path, base):
    lora = write_adapter(tmp_path / f"{base} style.safetensors", 1, base=base)
    code, value = studio("generate", "a cat on a blue background", "--lora", f"{lora}=0.5", *QUICK)
    assert code == 0, value
    told = settings(value["pictures"][0])
    assert told["base_model"] == base and told["loras"][0]["weight"] == 0.5


def test_checkpoints_of_a_run_on_edits_are_compared_over_its_pairs(studio, tmp_path):
    code, value = studio("compare", "edits", "--step", "80", "--out", tmp_path / "sheet.png")
    assert code == 0, value
    assert (value["pictures"], value["best_step"]) == (2, 80)
    assert Image.open(tmp_path / "sheet.png").width > 3 * 128


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("edit", "/nowhere/house.png", "make it night", "--model", "edits"), "There is no picture /nowhere/house.png"),
        (("edit", __file__, "make it night", "--model", "edits"), "test_pictures.py” cannot be edited"),
        (("edit", sample_picture(), "x", "--model", "nobody"), "no run called “nobody”"),
        (("edit", sample_picture(), "x", "--model", "/nowhere/x.safetensors"), "There is no file /nowhere/x.safetensors"),
        (("generate", "a cat", "--lora", "edits=much"), "it must be a number from -2 to 2"),
        (("generate", "a cat", "--set", "base_model=pocket-flux", "--set", "sampler=ddim"), "DDIM cannot draw with Pocket Flux"),
        (("generate", "a cat", "--lora", "edits"), "This model edits pictures. Choose a picture to edit"),
        (("compare", "edits", "--scale", "2"), "goes from 0, the base model, to 1"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(studio, arguments, words):
    code, value = studio(*arguments)
    assert code != 0 and words in value["error"]


def test_a_whole_model_is_exported_as_one_file_unless_another_layout_is_asked_for(studio, tmp_path):
    code, value = studio("export", "edits", tmp_path / "edits.safetensors", "--dtype", "fp16")
    assert (code, value["layout"]) == (0, "file"), value
    with safe_open(value["path"], "pt") as file:
        assert {"model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.weight"} <= set(file.keys())
