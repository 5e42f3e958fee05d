"""Our settings as ai-toolkit's: what its reader makes of the text is what was meant."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from backends.contract.config import ConfigFaults, parse_config
from backends.contract.errors import DarkroomError
from backends.contract.methods.ai_toolkit import FluxAiToolkitConfig
from backends.external.document import SCHNELL_ADAPTER, build_document, count_steps, link_pictures, list_samples, write_document
from backends.external.manifest import Picture, read_pictures

SMALL = {"sample_prompts": ["zog", "a cat"], "trigger_word": "zog"}


def process_of(work, pictures, **settings):
    return build_document(work, FluxAiToolkitConfig(**{**SMALL, **settings}), pictures, seed=7)["config"]["process"][0]


def read_as_ai_toolkit(path, environment):
    """Variables first, then YAML whose bare 1e5 is a number, then the run's name, as its reader does."""
    text = re.sub(r"\$\{([^}]+)\}", lambda m: environment[m[1]], path.read_text("utf-8"))

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789."))
    document = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader with one more number
    return json.loads(json.dumps(document).replace("[name]", document["config"]["name"]))


def test_the_defaults_are_those_of_its_own_example(work, pictures):
    process = process_of(work, pictures)
    assert process["network"] == {"type": "lora", "linear": 16, "linear_alpha": 16}
    assert process["datasets"][0]["resolution"] == [512, 768, 1024]
    assert process["datasets"][0]["caption_dropout_rate"] == 0.05
    assert process["datasets"][0]["shuffle_tokens"] is False
    assert process_of(work, pictures, shuffle_tags=True, trigger_word="")["datasets"][0]["shuffle_tokens"] is True
    train = process["train"]
    assert (train["steps"], train["batch_size"], train["optimizer"], train["lr"]) == (2000, 1, "adamw8bit", 1e-4)
    assert train["ema_config"] == {"use_ema": True, "ema_decay": 0.99}
    assert (process["save"]["save_every"], process["sample"]["sample_every"]) == (250, 250)
    assert process["model"] == {
        "name_or_path": "black-forest-labs/FLUX.1-dev",
        "is_flux": True,
        "quantize": True,
        "low_vram": False,
        "qtype": "qfloat8",
    }


def test_what_it_reads_is_what_was_written_whatever_the_words(work, pictures):
    words = ["zog ${HF_TOKEN}", "1e5", "yes", "zog: a “cat” # not a comment", "- zog", "null", "${", "back\\slash $x {y}"]
    config = FluxAiToolkitConfig(**{**SMALL, "sample_prompts": words})
    write_document(work, config, pictures, seed=7)
    read = read_as_ai_toolkit(work.settings, {"HF_TOKEN": "secret", "HOME": "/root"})
    assert read == build_document(work, config, pictures, seed=7)
    assert [s["prompt"] for s in read["config"]["process"][0]["sample"]["samples"]] == words
    assert "secret" not in json.dumps(read)


@pytest.mark.parametrize(("prompt", "sign"), [("zog --w 4096", "--"), ("a [name] of zog", "[name]"), ("[trigger] on a hill", "[trigger]")])
def test_a_prompt_that_it_would_read_otherwise_is_refused(prompt, sign):
    with pytest.raises(ConfigFaults) as refused:
        parse_config(FluxAiToolkitConfig, {"sample_prompts": [prompt]})
    assert f"“{sign}”" in refused.value.text
    assert refused.value.field == "sample_prompts"


def test_settings_that_it_does_not_have_are_no_settings():
    for name in ("alpha", "push_to_hub", "snr_gamma", "train_text_encoder", "num_processes"):
        with pytest.raises(ConfigFaults, match="There is no setting"):
            parse_config(FluxAiToolkitConfig, {name: 1})
    with pytest.raises(ConfigFaults, match="must be one of AdamW, prodigy"):
        parse_config(FluxAiToolkitConfig, {"optimizer": "schedule_free"})
    assert FluxAiToolkitConfig().lora_alpha == 16


def test_a_bundled_base_is_refused_with_the_way_out():
    with pytest.raises(ConfigFaults, match="flux/text_to_image"):
        parse_config(FluxAiToolkitConfig, {"pretrained_model_name_or_path": "pocket-flux"})


def test_schnell_gets_its_training_adapter_and_its_guidance(work, pictures):
    process = process_of(work, pictures, pretrained_model_name_or_path="flux-schnell")
    assert process["model"]["assistant_lora_path"] == SCHNELL_ADAPTER
    assert (process["sample"]["guidance_scale"], process["sample"]["sample_steps"]) == (0.0, 4)
    by_name = process_of(work, pictures, pretrained_model_name_or_path="someone/FLUX.1-schnell")
    assert by_name["model"]["assistant_lora_path"] == SCHNELL_ADAPTER


def test_each_setting_reaches_its_place(work, pictures):
    process = process_of(
        work,
        pictures,
        rank=8,
        lora_layers="attention",
        lora_dropout=0.1,
        quantize_base="none",
        low_vram=True,
        smaller_sizes=False,
        resolution=768,
        random_flip=True,
        cache_latents=False,
        gradient_accumulation_steps=3,
        lr_scheduler="constant_with_warmup",
        lr_warmup_steps=40,
        optimizer="prodigy",
        use_8bit_adam=False,
        learning_rate=1.0,
        sample_every=0,
        held_out_every=30,
    )
    assert process["network"]["dropout"] == 0.1
    assert "to_q" in process["network"]["network_kwargs"]["only_if_contains"]
    assert "ff.net.2" not in process["network"]["network_kwargs"]["only_if_contains"]
    assert process["model"] == {"name_or_path": "black-forest-labs/FLUX.1-dev", "is_flux": True, "quantize": False, "low_vram": True}
    dataset, train = process["datasets"][0], process["train"]
    assert (dataset["resolution"], dataset["flip_x"], dataset["cache_latents_to_disk"]) == ([768], True, False)
    assert (train["optimizer"], train["lr"], train["gradient_accumulation"]) == ("prodigy", 1.0, 3)
    assert (train["lr_scheduler"], train["lr_scheduler_params"]) == ("constant_with_warmup", {"num_warmup_steps": 40})
    assert train["disable_sampling"] is True
    assert train["validation_config"]["validate_every_n_steps"] == 30


def test_passes_become_steps_over_the_pictures_that_are_learnt_from(pictures):
    config = FluxAiToolkitConfig(max_train_steps=None, num_train_epochs=10, train_batch_size=2)
    assert count_steps(config, pictures) == 15


def test_pictures_stand_beside_their_captions_and_those_held_out_apart(work, pictures):
    link_pictures(work, pictures)
    link_pictures(work, pictures)  # a Resume finds them there
    assert sorted(p.name for p in work.pictures.iterdir()) == [f"000{n}.{kind}" for n in (1, 2, 3) for kind in ("png", "txt")]
    assert (work.pictures / "0002.txt").read_text() == "zog in ${HOME}, 1e5"
    assert (work.pictures / "0003.txt").read_text() == "zog asleep"
    assert [p.resolve().name for p in sorted(work.held_out.glob("*.png"))] == ["picture 3.png"]
    (item,) = process_of(work, pictures)["train"]["validation_config"]["validation_items"]
    assert item == {"image_path": str(work.held_out / "0001.png"), "prompt": "zog held out"}


def test_without_pictures_held_out_nothing_is_judged(work, pictures):
    assert "validation_config" not in process_of(work, [p for p in pictures if not p.held_out])["train"]


def test_samples_come_in_the_order_of_prompts_and_seeds():
    config = FluxAiToolkitConfig(**SMALL, num_sample_seeds=2, sample_seed=2**32 - 1)
    assert list_samples(config) == [(0, 0, "zog", 2**32 - 1), (0, 1, "zog", 0), (1, 0, "a cat", 2**32 - 1), (1, 1, "a cat", 0)]


def test_a_picture_that_is_gone_or_of_a_kind_that_it_passes_over_is_named(work, pictures):
    text = work.run.manifest.read_text()
    pictures[0].file.rename(pictures[0].file.with_suffix(".bmp"))
    with pytest.raises(DarkroomError, match=r"1 of 4 pictures are gone: picture 0.png"):
        read_pictures(work.run)
    work.run.manifest.write_text(text.replace("picture 0.png", "picture 0.bmp"))
    with pytest.raises(DarkroomError, match=r"not picture 0.bmp"):
        read_pictures(work.run)
    work.run.manifest.write_text("")
    with pytest.raises(DarkroomError, match="no pictures to learn from"):
        read_pictures(work.run)


def test_captions_count_in_the_recipe():
    assert next(iter(Picture.captions.fget(Picture(None, "zog", False)).values())) == "zog"
