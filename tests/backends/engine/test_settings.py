"""Every setting does what it says, or is refused with the reason."""

from __future__ import annotations

import importlib.util
import json

import datasets
import pytest
import safetensors
import safetensors.torch
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image

from backends.contract.rundir import complete_checkpoints
from tests.backends.engine import toy
from tests.backends.toys import draw_pictures


def run_with(base, tmp_path, *, sizes=None, **settings):
    """A finished run of four steps with these settings."""
    run = toy.make_run(tmp_path / "run", base, sizes=sizes, **{"max_train_steps": 4, "checkpointing_steps": 4, **settings})
    assert toy.train(run) == 0, run.log.read_text()
    return run


def notices(run) -> str:
    return " ".join(event["text"] for event in toy.events_of(run, "notice"))


def refusal(run) -> str:
    assert toy.train(run) == 1
    return toy.last_state(run)["reason"]


def test_events_tell_the_whole_run(base, tmp_path):
    run = run_with(base, tmp_path, sample_every=2, sample_prompts=["zog", "a cat"], num_sample_seeds=2, log_every=3, lr_scheduler="linear")
    steps = toy.events_of(run, "step")
    assert [e["step"] for e in steps] == [1, 2, 3, 4]
    assert [e["lr"] for e in steps] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    assert all(e["loss"] > 0 and e["steps_per_s"] > 0 and e["memory_mib"] > 0 for e in steps)
    assert [e["epoch"] for e in steps] == [0, 0, 1, 1]  # five pictures, two a step
    judged = toy.events_of(run, "eval")
    assert [e["step"] for e in judged] == [0, 2, 4] and all(e["n"] == 8 and e["se"] > 0 for e in judged)
    assert judged[0]["change"] is None and [e["change"] for e in judged[1:]] == pytest.approx(
        [e["loss"] - judged[0]["loss"] for e in judged[1:]]
    )
    assert all(0 < e["change_se"] < e["se"] for e in judged[1:]), "each evaluation is compared with itself"
    drawn = toy.events_of(run, "sample")
    assert [(e["step"], e["prompt"], e["seed"]) for e in drawn] == [(s, p, seed) for s in (0, 2, 4) for p in (0, 1) for seed in (42, 43)]
    assert all(Image.open(run.root / e["file"]).size == (64, 64) for e in drawn)
    result = toy.events_of(run, "result")[-1]
    assert result["steps"] == 4 and result["heldout_loss_ratio"] == judged[-1]["loss"] / judged[0]["loss"]
    assert result["learned"] is None, "the limit was calibrated on the bundled models alone"
    assert [e["phase"] for e in toy.events_of(run, "phase")][:2] == ["starting", "loading"]
    assert toy.events_of(run, "checkpoint")[-1]["heldout_loss"] == judged[-1]["loss"]


def test_the_lora_tells_its_recipe_and_not_where_it_was_made(base, tmp_path):
    run = run_with(base, tmp_path, trigger_word="zog", rank=3, alpha=6)
    with safetensors.safe_open(run.result, "pt") as file:
        header = file.metadata()
    assert header["ss_network_dim"] == "3" and header["ss_network_alpha"] == "6"
    assert header["modelspec.trigger_phrase"] == "zog" and header["modelspec.prediction_type"] == "v"
    assert header["ss_steps"] == "4" and header["ss_sd_model_name"] == "toy-sdxl"
    recipe = json.loads(header["darkroom.recipe"])
    assert recipe["config"]["learning_rate"] == 1e-2 and recipe["dataset"]["pictures"] == 5
    assert str(tmp_path) not in json.dumps(header) and str(base.parent) not in json.dumps(header)
    assert run.result.stat().st_mode & 0o044 == 0o044


def test_passes_decide_where_steps_are_left_open(base, tmp_path):
    run = run_with(base, tmp_path, max_train_steps=None, num_train_epochs=2, gradient_accumulation_steps=2)
    assert toy.last_state(run)["step"] == 3  # two passes over five pictures, four a step


def test_a_folder_with_captions_beside_the_pictures_is_enough(base, tmp_path):
    folder = tmp_path / "mine"
    for row in draw_pictures(folder, [(64, 64)] * 4):
        (folder / row["file"]).with_suffix(".txt").write_text(row["caption"])
    run = toy.make_run(tmp_path / "run", base, rows=[], max_train_steps=2, train_data_dir=str(folder), max_train_samples=2)
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    rows = [json.loads(line) for line in run.manifest.read_text().splitlines()]
    assert len(rows) == 4 and sum(row["held_out"] for row in rows) == 1
    assert all(row["caption"].startswith("zog on a") for row in rows)
    with safetensors.safe_open(run.result, "pt") as file:
        assert json.loads(file.metadata()["darkroom.recipe"])["dataset"] | {"hash": ""} == {"hash": "", "pictures": 2, "held_out": 1}


def test_a_folder_with_a_list_is_read_by_its_list(base, tmp_path):
    folder = tmp_path / "mine"
    names = [row["file"].rsplit("/", 1)[1] for row in draw_pictures(folder, [(64, 64)] * 3)]
    (folder / "metadata.jsonl").write_text("".join(json.dumps({"file_name": n, "text": f"number {n}"}) + "\n" for n in names[:2]))
    run = toy.make_run(tmp_path / "run", base, rows=[], max_train_steps=2, train_data_dir=str(folder))
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    captions = {json.loads(line)["caption"] for line in run.manifest.read_text().splitlines()}
    assert captions == {f"number {n}" for n in names[:2]}


def test_a_saved_data_set_is_read_by_its_columns(base, tmp_path):
    paths = [row["file"] for row in draw_pictures(tmp_path / "mine", [(64, 64)] * 3)]
    features = datasets.Features({"photo": datasets.Image(), "words": datasets.Value("string")})
    saved = datasets.Dataset.from_dict({"photo": paths, "words": ["a", "b", "c"]}, features=features)
    saved.save_to_disk(tmp_path / "saved")
    settings = {"dataset_name": str(tmp_path / "saved"), "image_column": "photo", "caption_column": "words"}
    run = toy.make_run(tmp_path / "run", base, rows=[], max_train_steps=2, **settings)
    run.manifest.unlink()
    assert toy.train(run) == 0, run.log.read_text()
    assert {json.loads(line)["caption"] for line in run.manifest.read_text().splitlines()} == {"a", "b", "c"}
    other = toy.make_run(tmp_path / "other", base, rows=[], **{**settings, "caption_column": "text"})
    other.manifest.unlink()
    assert "no column “text”" in refusal(other) and "words" in refusal(other)


def test_pictures_of_many_shapes_keep_theirs_or_are_cut_square(base, tmp_path):
    sizes = [(64, 64), (64, 64), (140, 70), (64, 128), (300, 150)]
    own = run_with(base, tmp_path / "own", sizes=sizes, resolution=192)
    cut = run_with(base, tmp_path / "cut", sizes=sizes, resolution=192, center_crop=True)

    def shapes(run):
        files = [safetensors.torch.load_file(p) for p in (run.root / "cache").rglob("*.safetensors")]
        return {tuple(f["mean"].shape[1:]) for f in files if "mean" in f}

    assert shapes(own) == {(24, 24), (16, 32), (32, 16)}
    assert shapes(cut) == {(24, 24)}


def test_the_validation_prompt_is_drawn_by_passes(base, tmp_path):
    run = run_with(base, tmp_path, validation_prompt="a cat", num_validation_images=2, validation_epochs=1, max_train_steps=6)
    drawn = toy.events_of(run, "sample")
    assert [(e["step"], e["seed"]) for e in drawn] == [(s, seed) for s in (3, 5, 6) for seed in (42, 43)]


def test_it_is_written_down_how_well_each_picture_is_learnt_where_asked(base, tmp_path):
    run = run_with(base, tmp_path, debug_loss=True)
    assert [e["step"] for e in toy.events_of(run, "pictures")] == [0, 2, 4]
    table = json.loads(run.picture_losses.read_text())
    trained = [line["id"] for line in map(json.loads, run.manifest.read_text().splitlines()) if not line.get("held_out")]
    assert (table["step"], table["asked"]) == (4, 3) and {row["id"] for row in table["pictures"]} == set(trained)
    assert all(row["start"] > 0 and row["now"] > 0 and row["start"] != row["now"] for row in table["pictures"])
    assert not any(row["mean"] in (row["start"], row["now"]) for row in table["pictures"])


def test_the_learning_rate_that_prodigy_found_is_told(base, tmp_path):
    run = run_with(base, tmp_path, optimizer="prodigy", learning_rate=1.0)
    assert toy.events_of(run, "step")[0]["lr"] == pytest.approx(1e-6), "it begins at a distance of a millionth"


def test_text_encoders_are_trained_and_saved(base, tmp_path):
    run = run_with(base, tmp_path, train_text_encoder=True, sample_every=4, sample_prompts=["zog"])
    state = safetensors.torch.load_file(run.result)
    for prefix in ("unet.", "text_encoder.", "text_encoder_2."):
        trained = [t for n, t in state.items() if n.startswith(prefix) and "lora_B" in n]
        assert trained and all(t.any() for t in trained), prefix
    pipeline = StableDiffusionXLPipeline.from_pretrained(base)
    pipeline.load_lora_weights(run.result.parent, weight_name=run.result.name)
    modules = (pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2)
    assert sum("lora_" in n for m in modules for n, _ in m.named_parameters()) == len(state)


def test_early_stopping_ends_a_run_that_no_longer_gets_better(base, tmp_path):
    run = run_with(base, tmp_path, max_train_steps=40, learning_rate=1.0, held_out_every=1, early_stopping_patience=2)
    state = toy.last_state(run)
    assert state["state"] == "finished" and state["step"] < 40 and "Stopped early" in state["reason"]
    assert complete_checkpoints(run)[-1] == state["step"]


def test_nothing_held_out_is_said_and_gives_no_verdict(base, tmp_path):
    rows = [{**row, "held_out": False} for row in draw_pictures(tmp_path / "mine", [(64, 64)] * 3)]
    run = toy.make_run(tmp_path / "run", base, rows=rows, max_train_steps=2)
    assert toy.train(run) == 0
    assert toy.events_of(run, "result")[-1]["learned"] is None
    assert "not judged" in notices(run)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these ask for")
def test_switches_that_this_machine_cannot_do_say_so(base, tmp_path):
    switches = {"enable_xformers_memory_efficient_attention": True, "allow_tf32": True, "enable_npu_flash_attention": True}
    told = notices(run_with(base, tmp_path, **switches, lr_scheduler="linear", lr_warmup_steps=500))
    assert all(word in told for word in ("xFormers attention cannot be used", "TF32", "NPU", "Warm-up is 500"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mixed_precision": "fp16"}, ["fp16", "needs a GPU"]),
        ({"use_8bit_adam": True}, ["bitsandbytes", "pip install"]),
        ({"report_to": "comet_ml"}, ["comet_ml", "pip install"]),
        ({"push_to_hub": True, "hub_model_id": "me/zog"}, ["HF_TOKEN"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_refused_before_it_costs_time(base, tmp_path, settings, words):
    if "mixed_precision" in settings and torch.cuda.is_available():
        pytest.skip("a GPU can do this")
    package = {"use_8bit_adam": "bitsandbytes", "report_to": "comet_ml"}.get(next(iter(settings)))
    if package and importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed here")
    reason = refusal(toy.make_run(tmp_path / "run", base, **settings))
    assert all(word in reason for word in words)


def test_tensorboard_gets_the_curves(base, tmp_path):
    run = run_with(base, tmp_path, report_to="tensorboard", log_every=1)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.parent for path in (run.root / "logs").rglob("events.out.tfevents.*")}
    found = [EventAccumulator(str(folder)).Reload() for folder in folders]
    scalars = {tag: a.Scalars(tag) for a in found for tag in a.Tags()["scalars"]}
    assert [s.step for s in scalars["train_loss"]] == [1, 2, 3, 4]
    assert [s.step for s in scalars["heldout_loss"]] == [0, 2, 4]
