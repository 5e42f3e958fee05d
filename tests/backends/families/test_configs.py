"""The shipped configs describe the published models, and CLIP's vocabulary is the published one."""

from __future__ import annotations

import gzip
import hashlib
import json

import diffusers
import pytest
import torch

from assets.build.clip_vocabulary import NUM_MERGES, cut_vocabulary
from backends.contract.clip_vocabulary import CONFIGS, MERGES, read_vocabulary
from backends.contract.quantized import LINEAR_WEIGHTS
from backends.families.clip_tokenizer import build_tokenizer
from tests.ldm_layout import build_empty

# Weights as their authors and the libraries that host them state them.
PUBLISHED = {
    "sd15/unet": 859_520_964,
    "sd15/vae": 83_653_863,
    "sd15/text_encoder": 123_060_480,
    "sdxl/unet": 2_567_463_684,
    "sdxl/vae": 83_653_863,
    "sdxl/text_encoder": 123_060_480,
    "sdxl/text_encoder_2": 694_659_840,
    "sdxl-refiner/unet": 2_259_526_660,
    "sdxl-refiner/vae": 83_653_863,
    "sdxl-refiner/text_encoder_2": 694_659_840,
    "flux/transformer": 11_901_408_320,
    "flux/vae": 83_819_683,
}


def test_every_config_is_of_a_counted_model():
    assert {p.parent.relative_to(CONFIGS).as_posix() for p in CONFIGS.glob("*/*/config.json")} == set(PUBLISHED)


@pytest.mark.parametrize("place", PUBLISHED)
def test_a_config_describes_a_model_of_the_published_size(place):
    assert sum(p.numel() for p in build_empty(place).parameters()) == PUBLISHED[place]


@pytest.mark.parametrize(("family", "place"), [("sd15", "sd15/unet"), ("sdxl", "sdxl/unet"), ("flux", "flux/transformer")])
def test_what_storing_small_saves_is_counted_over_the_linear_layers(family, place):
    layers = [m for m in build_empty(place).modules() if isinstance(m, torch.nn.Linear)]
    assert sum(m.weight.numel() for m in layers) == LINEAR_WEIGHTS[family]


@pytest.mark.parametrize("family", ["sd15", "sdxl", "sdxl-refiner", "flux"])
def test_every_component_of_an_index_is_described(family):
    folder = CONFIGS / family
    index = json.loads((folder / "model_index.json").read_text())
    assert hasattr(diffusers, index["_class_name"])
    elsewhere = {"text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"} if family == "flux" else set()
    named = {n for n, v in index.items() if isinstance(v, list) and v[0]} - elsewhere
    assert named == {p.name for p in folder.iterdir() if p.is_dir()}


def test_the_shipped_pairs_are_the_first_ones_of_the_published_file():
    """The whole file is not shipped; its hash is checked where it is cut, and here the cutting itself."""
    lines = gzip.decompress(MERGES.read_bytes()).decode().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (NUM_MERGES, "i n", "jeky ll</w>")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == "f61f2adf497e6f5357c347aeb4646fabe82f341e946de5bdec5d2858e41bef4a"
    whole = gzip.compress("\n".join(["#version: 0.2", *lines, "further pairs"]).encode())
    assert cut_vocabulary(whole) == cut_vocabulary(whole)
    assert gzip.decompress(cut_vocabulary(whole)) == gzip.decompress(MERGES.read_bytes())


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [49406, 320, 1125, 539, 320, 2368, 49407]),  # the ids that CLIP's own examples show
        ("", [49406, 49407]),
        ("A  PHOTO\nof a Cat", [49406, 320, 1125, 539, 320, 2368, 49407]),
    ],
)
def test_words_get_the_numbers_that_clip_gives_them(text, ids):
    assert build_tokenizer(CONFIGS / "sd15" / "tokenizer")(text)["input_ids"] == ids


def test_the_second_encoder_of_sdxl_is_padded_with_its_first_token():
    first, second = (build_tokenizer(CONFIGS / "sdxl" / name) for name in ("tokenizer", "tokenizer_2"))
    assert (first.pad_token_id, second.pad_token_id, first.model_max_length, second.model_max_length) == (49407, 0, 77, 77)
    padded = second("a cat", padding="max_length", max_length=6, truncation=True)["input_ids"]
    assert padded == [49406, 320, 2368, 49407, 0, 0]


def test_the_vocabulary_has_every_number_once():
    vocabulary, _ = read_vocabulary()
    assert sorted(vocabulary.values()) == list(range(49_408))
