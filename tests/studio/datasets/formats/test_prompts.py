"""Golden cases of what image programs leave in their pictures: the words for what is seen are taken, never those for what is not."""

from __future__ import annotations

import json

import pytest

from studio.datasets.formats.parameters import read_prompt
from tests.studio.datasets.formats.test_words_in_pictures import jpeg, png

BAD = "worst quality, UNWANTED, extra fingers"
SETTINGS = {
    "webui 1.0": "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: 81761151c4",
    "webui 1.6": "Steps: 30, Sampler: DPM++ 2M SDE Karras, CFG scale: 7, Seed: 1, Size: 512x768, Model hash: 7eb674963a, Model: x_v4, "
    f'Clip skip: 2, ADetailer model: face_yolov8n.pt, ADetailer negative prompt: "{BAD}", Version: v1.6.0',
    "webui 1.9": "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5, Seed: 7, Size: 1024x1024, Model: xl, "
    f'Hires prompt: "{BAD}", Lora hashes: "zog: 98221f0b4503", Version: v1.9.4',
    "forge": "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 3, Size: 896x1152, "
    "Model: flux1-dev-bnb-nf4-v2, Version: f2.0.1v1.10.1-previous-313-g8a042934, Module 1: t5xxl_fp16",
    "dynamic prompts": f"Steps: 20, Sampler: Euler a, Seed: 3, Size: 512x512\nTemplate: a {{red|blue}} fox\nNegative Template: {BAD}",
}


@pytest.mark.parametrize("version", SETTINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a1111_and_its_kin(version, end):
    prompt = "a red fox, (snow:1.2), <lora:zog:0.8>\nBREAK in the morning, Steps: of stone"
    for text, words in (
        (f"{prompt}\nNegative prompt: {BAD}\n{SETTINGS[version]}", "a red fox, (snow:1.2), BREAK in the morning, Steps: of stone"),
        (f"{prompt}\n{SETTINGS[version]}", "a red fox, (snow:1.2), BREAK in the morning, Steps: of stone"),
        (f"Negative prompt: {BAD}\n{SETTINGS[version]}", ""),
        (f"\nNegative prompt: {BAD}\nover two lines\n{SETTINGS[version]}", ""),
        (SETTINGS[version], ""),
    ):
        said = text.replace("\n", end)
        assert read_prompt(png(parameters=said)) == words
        for kind in ("utf-16-be", "utf-16-le"):
            assert read_prompt(jpeg(b"UNICODE\0" + said.encode(kind))) == words
        assert read_prompt(jpeg(b"ASCII\0\0\0" + said.encode())) == words


def test_words_of_other_scripts_in_a_comment():
    said = f"狐と雪, 朝\nNegative prompt: {BAD}\n{SETTINGS['webui 1.9']}"
    assert read_prompt(jpeg(b"UNICODE\0" + said.encode("utf-16-be"))) == "狐と雪, 朝"
    assert read_prompt(jpeg(b"UNICODE\0" + said.encode("utf-16-le"))) == "狐と雪, 朝"


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "a red fox", "negative_prompt": BAD, "steps": 30, "metadata_scheme": "fooocus"},
        {"Prompt": "a red fox", "Negative Prompt": BAD, "Fooocus V2 Expansion": "x"},
        {"sui_image_params": {"prompt": "a red fox", "negativeprompt": BAD, "model": "xl"}},
        {"positive_prompt": "a red fox", "negative_prompt": BAD, "app_version": "4.2.0"},
    ],
)
def test_programs_that_leave_json(value):
    assert read_prompt(png(parameters=json.dumps(value))) == "a red fox"
    without = {k: v for k, v in value.items() if "egative" in k} or {"sui_image_params": {"negativeprompt": BAD}}
    assert read_prompt(png(parameters=json.dumps(without))) == ""


def text(words, **more):
    return {"class_type": "CLIPTextEncode", "inputs": {"text": words, "clip": ["4", 1]} | more}


def sampler(positive, negative, kind="KSampler", **more):
    return {"class_type": kind, "inputs": {"negative": negative, "positive": positive, "model": ["4", 0], "seed": 1} | more}


LOADER = {"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}}}
CONTROL = {
    "class_type": "ControlNetApplyAdvanced",
    "inputs": {"negative": ["7", 0], "positive": ["6", 0], "image": ["9", 0], "strength": 1},
}
XL = {"class_type": "CLIPTextEncodeSDXL", "inputs": {"width": 1024, "text_l": BAD, "text_g": BAD, "clip": ["4", 1]}}
GRAPHS = {
    "plain, the negative first": {"7": text(BAD), "6": text("a red fox"), "3": sampler(["6", 0], ["7", 0])},
    "two samplers, refined": {
        "7": text(BAD),
        "6": text("a red fox"),
        "3": sampler(["6", 0], ["7", 0], "KSamplerAdvanced"),
        "8": sampler(["6", 0], ["7", 0], "KSamplerAdvanced"),
    },
    "through a ControlNet": {"2": CONTROL, "7": text(BAD), "6": text("a red fox"), "3": sampler(["2", 0], ["2", 1])},
    "sdxl, both texts": {
        "7": XL,
        "6": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_l": "fox tags", "text_g": "a red fox", "clip": ["4", 1]}},
        "3": sampler(["6", 0], ["7", 0]),
    },
    "text from another node": {
        "7": text(BAD),
        "6": text(["11", 0]),
        "11": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a red fox"}},
        "3": sampler(["6", 0], ["7", 0]),
    },
    "sdxl styler": {
        "49": {"class_type": "SDXLPromptStyler", "inputs": {"text_negative": BAD, "text_positive": "a red fox", "style": "base"}},
        "6": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": ["49", 0], "text_l": ["49", 0], "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": ["49", 1], "text_l": ["49", 1], "clip": ["4", 1]}},
        "3": sampler(["6", 0], ["7", 0]),
    },
    "flux with a guider of one text": {
        "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}},
        "22": {"class_type": "BasicGuider", "inputs": {"model": ["4", 0], "conditioning": ["26", 0]}},
        "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
        "6": text("a red fox"),
        "13": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["25", 0], "guider": ["22", 0], "sigmas": ["17", 0]}},
    },
    "flux with its own encoder": {
        "6": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "fox", "t5xxl": "a red fox", "guidance": 3.5, "clip": ["4", 1]}},
        "7": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}},
        "3": sampler(["6", 0], ["7", 0]),
    },
    "cfg guider": {
        "7": text(BAD),
        "6": text("a red fox"),
        "12": sampler(["6", 0], ["7", 0], "CFGGuider", cfg=4),
        "13": {"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["12", 0]}},
    },
    "a loader that has the words itself": {
        "1": {"class_type": "Efficient Loader", "inputs": {"negative": BAD, "positive": "a red fox", "ckpt_name": "x"}},
        "3": sampler(["1", 1], ["1", 2], "KSampler (Efficient)"),
    },
}


@pytest.mark.parametrize("name", GRAPHS)
def test_comfyui(name):
    assert read_prompt(png(prompt=json.dumps(LOADER | GRAPHS[name]))) == "a red fox"


@pytest.mark.parametrize("name", [name for name in GRAPHS if "UNWANTED" in json.dumps(GRAPHS[name])])
def test_where_comfyui_has_no_words_the_unwanted_ones_are_not_taken(name):
    emptied = json.loads(json.dumps(GRAPHS[name]).replace("a red fox", "").replace("fox tags", ""))
    assert read_prompt(png(prompt=json.dumps(LOADER | emptied))) == ""
