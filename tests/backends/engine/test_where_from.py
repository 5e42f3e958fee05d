"""What a run learns from when it is started by hand: folders, saved data sets, pairs, and base models of the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import safetensors.torch
from diffusers import DiffusionPipeline
from PIL import Image

from backends.contract.rundir import RunDir
from tests.backends import toys
from tests.backends.engine import toy

PRIOR = {**toy.PRIOR, "num_class_images": 4}


def train_without_manifest(run: RunDir) -> list[dict]:
    """The rows that the trainer found by itself."""
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    return [json.loads(line) for line in run.manifest.read_text().splitlines()]


def test_a_dreambooth_from_a_folder_alone(toy_base, tmp_path):
    toys.draw_pictures(tmp_path / "mine", [(64, 64)] * 4)
    settings = {"instance_data_dir": str(tmp_path / "mine"), "instance_prompt": "a photo of zog dog", "max_train_steps": 1}
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/dreambooth", rows=[], **settings, held_out_share=0.5)
    rows = train_without_manifest(run)
    assert len(rows) == 4 and sum(row["held_out"] for row in rows) == 2
    assert {Path(row["file"]).parent for row in rows} == {tmp_path / "mine"}


@pytest.mark.parametrize("columns", [None, ("photo", "words", "result")], ids=["usual names", "own names"])
def test_saved_pairs_are_read_by_their_columns(toy_base, tmp_path, columns):
    pairs = toys.draw_pairs(tmp_path / "mine", [(64, 64)] * 3)
    names = columns or ("input_image", "edit_prompt", "edited_image")
    kinds = (datasets.Image(), datasets.Value("string"), datasets.Image())
    values = ([p["input_file"] for p in pairs], ["a", "b", "c"], [p["file"] for p in pairs])
    features = datasets.Features(dict(zip(names, kinds, strict=True)))
    datasets.Dataset.from_dict(dict(zip(names, values, strict=True)), features=features).save_to_disk(tmp_path / "saved")
    fields = ("original_image_column", "edit_prompt_column", "edited_image_column")
    settings = {"dataset_name": str(tmp_path / "saved"), "max_train_steps": 1, **(dict(zip(fields, names, strict=True)) if columns else {})}
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", rows=[], **settings)
    rows = train_without_manifest(run)
    assert {row["caption"] for row in rows} == {"a", "b", "c"}
    wanted = {(Path(p["input_file"]).read_bytes(), Path(p["file"]).read_bytes()) for p in pairs}
    assert {(Path(row["input_file"]).read_bytes(), Path(row["file"]).read_bytes()) for row in rows} == wanted


def test_a_configuration_of_a_data_set_is_chosen(toy_base, tmp_path):
    for name in ("one", "two"):
        rows = toys.draw_pictures(tmp_path / "set" / name, [(64, 64)] * 2)
        lines = [{"file_name": Path(row["file"]).name, "text": name} for row in rows]
        (tmp_path / "set" / name / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    configs = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in ("one", "two"))
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    settings = {
        "dataset_name": str(tmp_path / "set"),
        "dataset_config_name": "two",
        "max_train_steps": 1,
        "cache_dir": str(tmp_path / "kept"),
    }
    run = toy.make_run(tmp_path / "run", toy_base("sd15"), "sd15/text_to_image", rows=[], **settings)
    assert {row["caption"] for row in train_without_manifest(run)} == {"two"}


@pytest.mark.parametrize("at_once", [1, 4])
def test_class_pictures_are_drawn_as_many_at_once_as_asked(toy_base, tmp_path, at_once):
    run = toy.make_run(
        tmp_path / "run",
        toy_base("sd15"),
        "sd15/dreambooth",
        max_train_steps=1,
        sample_batch_size=at_once,
        prior_generation_precision="fp32",
        **PRIOR,
    )
    assert toy.train(run) == 0, run.log.read_text()
    told = [e["done"] for e in toy.events_of(run, "phase") if e["phase"] == "drawing"]
    assert told == [*range(0, 4, at_once), 4]


@pytest.mark.parametrize("given", [True, False])
def test_prompts_are_tried_on_the_picture_of_the_settings(toy_base, tmp_path, given):
    mine = tmp_path / "mine.png"
    Image.new("RGB", (64, 64), "red").save(mine)
    settings = {"sample_prompts": ["make it blue"], "sample_every": 2, "max_train_steps": 2, "num_sample_pairs": 0}
    run = toy.make_run(
        tmp_path / "run", toy_base("sd15"), "sd15/instruct_pix2pix", **settings, **({"val_image": str(mine)} if given else {})
    )
    assert toy.train(run) == 0, run.log.read_text()
    [shown] = {e["before"] for e in toy.events_of(run, "sample")}
    before = np.asarray(Image.open(run.root / shown))
    assert bool((before == (255, 0, 0)).all()) == given


def test_another_revision_variant_and_folder_of_the_hub(toy_base, tmp_path):
    """As the hub's library keeps them; the weights of each revision differ, so a run that learns nothing tells which was taken."""
    kept = tmp_path / "kept" / "models--me--toy"
    commits = {"main": "a" * 40, "other": "b" * 40, "plain": "c" * 40}
    for seed, (revision, commit) in enumerate(commits.items()):
        base = toys.build_base(tmp_path / revision, "sd15", seed=seed)
        DiffusionPipeline.from_pretrained(base).save_pretrained(
            kept / "snapshots" / commit, variant="fp16" if revision == "other" else None
        )
        (kept / "refs").mkdir(exist_ok=True)
        (kept / "refs" / revision).write_text(commit)

    def learnt(name: str, **settings: str) -> str:
        """The revision whose UNet the run began with."""
        still = {"learning_rate": 1e-7, "max_train_steps": 1, "cache_dir": str(tmp_path / "kept")}
        run = toy.make_run(tmp_path / name, Path("me/toy"), "sd15/instruct_pix2pix", **still, **settings)
        assert toy.train(run) == 0, run.log.read_text()[-3000:]
        found = safetensors.torch.load_file(run.result)["conv_out.weight"]
        for revision in commits:
            began = safetensors.torch.load_file(tmp_path / revision / "unet" / "diffusion_pytorch_model.safetensors")["conv_out.weight"]
            if (found - began).abs().max() < 1e-6:
                return revision
        return ""

    assert learnt("first") == "main"
    assert learnt("second", revision="other", variant="fp16") == "other"
    assert learnt("third", non_ema_revision="plain") == "plain"
    shutil.rmtree(kept / "snapshots" / commits["plain"])
