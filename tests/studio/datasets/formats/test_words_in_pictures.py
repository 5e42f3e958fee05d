"""Words that come with pictures by the ways of other programs: kohya's folders, prompts inside of files that were drawn."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from studio.datasets.export import Layout, export_dataset
from studio.datasets.formats.kohya import Repeated, find_repeated, read_repeated
from studio.datasets.formats.parameters import read_prompt
from studio.datasets.ingest import ingest_files, ingest_folder
from tests.studio.datasets.drawing import draw_figure, encode

A1111 = "a cat, on a mat <lora:zog:0.8>\nin the sun\nNegative prompt: dog\nSteps: 20, Sampler: Euler a"
COMFY = {
    "3": {"class_type": "KSampler", "inputs": {"positive": ["9", 0], "negative": ["7", 0], "seed": 1}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
    "9": {"class_type": "ConditioningCombine", "inputs": {"a": ["6", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a dog in the rain", "clip": ["4", 1]}},
}


def png(**told: str) -> bytes:
    info = PngInfo()
    for key, value in told.items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    draw_figure(1, 40).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def jpeg(comment: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    buffer = io.BytesIO()
    draw_figure(1, 40).convert("RGB").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(parameters=A1111), "a cat, on a mat in the sun"),
        (png(parameters="only a prompt"), "only a prompt"),
        (png(prompt=json.dumps(COMFY)), "a dog in the rain"),
        (jpeg(b"UNICODE\0" + A1111.encode("utf-16-be")), "a cat, on a mat in the sun"),
        (jpeg(b"ASCII\0\0\0a note of a camera"), ""),
        (png(), ""),
        (png(prompt="{"), ""),
        (png(prompt=json.dumps({"1": {"inputs": {"positive": ["1", 0]}}})), ""),
        (png(prompt=json.dumps([1, 2])), ""),
        (b"no picture", ""),
    ],
)
def test_the_prompt_that_a_picture_was_drawn_with_is_read(data, words):
    assert read_prompt(data) == words


def test_it_becomes_the_caption_where_none_came_along(store, dataset, drop):
    drop("drawn.txt", b"my own words")
    drop("drawn.png", png(parameters=A1111))
    (outcome,) = drop("other.png", png(parameters="a bird"))
    kept = {p.name: (p.text, p.text_by) for p in store.pictures(dataset)}
    assert kept == {"drawn.png": ("my own words", "file"), "other.png": ("a bird", "file")}
    assert "the prompt that it was drawn with" in outcome.reason


def test_a_folder_of_repeats_says_so():
    assert read_repeated("img/10_zog robot/a.png") == Repeated(10, "zog robot")
    assert read_repeated("5_my_dog/a.png") == Repeated(5, "my dog")
    assert read_repeated("zog/a.png") is None and read_repeated("10_a.png") is None
    assert find_repeated(["10_zog/a.png", "3_class/b.png"]) == {"10_zog/a.png": Repeated(10, "zog"), "3_class/b.png": Repeated(3, "class")}
    assert find_repeated(["2024_summer/a.png", "winter/b.png"]) == {}


def test_kohyas_folders_come_in_with_their_words(store, dataset, tmp_path):
    for name, words in (("10_zog robot/a.png", "zog waves"), ("10_zog robot/b.png", ""), ("1_robot/c.png", "")):
        path = tmp_path / "img" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(draw_figure(len(name) + ord(name[-5]), 40)))
        if words:
            path.with_suffix(".txt").write_text(words)
    outcomes = ingest_folder(store, dataset, tmp_path / "img")
    words = {p.name: p.text for p in store.pictures(dataset)}
    assert words == {"10_zog robot/a.png": "zog waves", "10_zog robot/b.png": "zog robot", "1_robot/c.png": "robot"}
    assert [o.name for o in outcomes if "number in front" in o.reason] == ["10_zog robot", "1_robot"]


def test_kohyas_folders_leave_as_they_came_and_others_get_a_number(store, dataset, tmp_path):
    for n, name in enumerate(("10_zog robot/a.png", "1_robot/c.png")):
        path = tmp_path / "img" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(draw_figure(n, 40)))
        path.with_suffix(".txt").write_text(f"words {n}")
    (tmp_path / "img/loose.png").write_bytes(encode(draw_figure(9, 40)))
    ingest_folder(store, dataset, tmp_path / "img")
    store.update(dataset, trigger_word="zog")
    export_dataset(store, dataset, tmp_path / "out", layout=Layout(repeats=7))
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert files == ["10_zog robot/a.png", "10_zog robot/a.txt", "1_robot/c.png", "1_robot/c.txt", "7_zog/loose.png", "metadata.jsonl"]
    again = store.create("Again").id
    ingest_folder(store, again, tmp_path / "out")
    kept = {(p.name, p.text, p.sha256) for p in store.pictures(dataset) if "/" in p.name}
    assert kept <= {(p.name, p.text, p.sha256) for p in store.pictures(again)}


def test_one_folder_of_repeats_alone_keeps_its_number(store, dataset, tmp_path):
    path = tmp_path / "set" / "10_zog robot" / "a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(draw_figure(1, 40)))
    (path.parent / "b.png").write_bytes(encode(draw_figure(2, 40)))
    ingest_folder(store, dataset, tmp_path / "set")
    assert {p.name: p.text for p in store.pictures(dataset)} == {"10_zog robot/a.png": "zog robot", "10_zog robot/b.png": "zog robot"}
    dropped = store.create("Dropped").id
    ingest_files(store, dropped, [("set/10_zog robot/a.png", path)])
    assert [(p.name, p.text) for p in store.pictures(dropped)] == [("10_zog robot/a.png", "zog robot")]
    year = store.create("Year").id
    ingest_files(store, year, [("2024_summer/a.png", path)])
    assert [(p.name, p.text) for p in store.pictures(year)] == [("a.png", "")]
