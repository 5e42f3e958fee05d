"""Pictures through the generating worker, and what happens when it is killed."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from backends.contract.config import parse_config
from backends.contract.draw import DrawConfig, LoraUse
from backends.contract.errors import DarkroomError
from studio.workers.client import Cancelled
from studio.workers.generator import Column, mixing
from tests.adapters import write_adapter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("person's folder")
    return [write_adapter(folder / f"zog {i}.safetensors", i) for i in range(2)]


def config(*uses, **values) -> DrawConfig:
    loras = [{"path": str(path), "weight": weight} for path, weight in uses]
    return parse_config(DrawConfig, {"prompt": "a cat on a blue background", "num_inference_steps": 4, **values, "loras": loras})


def pixels(path):
    return np.asarray(Image.open(path))


def test_a_picture_arrives_with_its_progress_and_its_settings_inside(generator, adapters, tmp_path):
    replies = list(generator.generate(config((adapters[0], 0.7), seed=9, negative_prompt="snow"), tmp_path / "out.png"))
    assert [r["done"] for r in replies if r["kind"] == "step"] == [1, 2, 3, 4]
    assert replies[-1]["kind"] == "done" and replies[-1]["pictures"] == 1
    info = Image.open(tmp_path / "out.png").info
    settings = json.loads(info["darkroom"])
    assert (settings["prompt"], settings["seed"], settings["guidance_scale"], settings["width"]) == (
        "a cat on a blue background",
        9,
        3,
        128,
    )
    assert settings["loras"][0]["name"] == "zog 0.safetensors" and settings["loras"][0]["weight"] == 0.7
    assert "Negative prompt: snow" in info["parameters"] and "Seed: 9" in info["parameters"]


def test_no_path_of_this_machine_stands_in_a_picture(generator, adapters, tmp_path):
    generator.generate(config((adapters[0], 1.0), base_model="pocket-sdxl"), tmp_path / "out.png").result()
    data = (tmp_path / "out.png").read_bytes()
    assert str(tmp_path).encode() not in data and b"person's folder" not in data and os.fsencode(os.path.expanduser("~")) + b"/" not in data


def test_a_grid_equals_single_requests_of_the_same_batch_to_the_pixel(generator, adapters, tmp_path):
    prompts = ["a cat on a blue background", "a red apple", "zog on a green background"]
    rows = [{"prompt": prompt} for prompt in prompts]
    columns = [Column(mixing(), tuple(tmp_path / f"base{i}.png" for i in range(3)))]
    columns += [Column(mixing(LoraUse(path=str(a))), tuple(tmp_path / f"{a.stem}{i}.png" for i in range(3))) for a in adapters]
    replies = list(generator.grid(config(), rows, columns))
    assert [(r["column"], r["row"]) for r in replies if r["kind"] == "picture"] == [(c, r) for c in range(3) for r in range(3)]
    again = [Column(columns[2].changes, tuple(tmp_path / f"again{i}.png" for i in range(3)))]
    generator.grid(config(), rows, again).result()
    for first, second in zip(columns[2].files, again[0].files, strict=True):
        assert np.array_equal(pixels(first), pixels(second))
    for row, prompt in enumerate(prompts):  # alone, the batch is another: matrix products round otherwise
        alone = tmp_path / "alone.png"
        generator.generate(config((adapters[1], 1.0), prompt=prompt), alone).result()
        assert np.abs(pixels(alone).astype(int) - pixels(columns[2].files[row])).max() <= 2


def test_only_the_cells_asked_for_are_drawn_in_the_order_given(generator, adapters, tmp_path):
    use = mixing(LoraUse(path=str(adapters[0])))
    columns = [Column(use, (None, tmp_path / "a.png")), Column({}, (tmp_path / "b.png", None)), Column({}, (None, None))]
    replies = list(generator.grid(config(), [{"prompt": "a cat"}, {"prompt": "a dog"}], columns))
    assert [(r["column"], r["row"]) for r in replies if r["kind"] == "picture"] == [(0, 1), (1, 0)]
    assert [r["total"] for r in replies if r["kind"] == "step"] == [8] * 8


def test_a_strip_begins_with_the_base_to_the_pixel(generator, adapters, tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(3)]
    generator.strip(config((adapters[0], 1.0)), [0, 0.5, 1.0], files).result()
    generator.generate(config(), tmp_path / "base.png").result()
    assert np.array_equal(pixels(files[0]), pixels(tmp_path / "base.png"))
    assert not np.array_equal(pixels(files[1]), pixels(files[2]))


def test_cancelling_leaves_no_half_a_picture_and_the_next_request_works(generator, tmp_path):
    call = generator.generate(config(num_inference_steps=150), tmp_path / "never.png")
    with pytest.raises(Cancelled):
        for reply in call:
            if reply["kind"] == "step":
                call.cancel()
    assert list(tmp_path.iterdir()) == []
    generator.generate(config(), tmp_path / "next.png").result()
    assert pixels(tmp_path / "next.png").shape == (128, 128, 3)


def test_a_worker_killed_while_it_draws_says_so_and_the_next_request_starts_anew(generator, tmp_path):
    generator.generate(config(), tmp_path / "before.png").result()
    killed = generator.worker.pid
    with pytest.raises(DarkroomError, match="The generator was ended by the system.*memory"):
        for reply in generator.generate(config(num_inference_steps=150), tmp_path / "never.png"):
            if reply["kind"] == "step" and reply["done"] == 3:
                os.kill(killed, signal.SIGKILL)
    generator.generate(config(), tmp_path / "after.png").result()
    assert generator.worker.pid != killed
    assert np.array_equal(pixels(tmp_path / "before.png"), pixels(tmp_path / "after.png"))
    assert not (tmp_path / "never.png").exists()


def test_a_lora_that_is_damaged_fails_its_request_only(generator, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 4096)
    with pytest.raises(DarkroomError, match="“bad.safetensors” cannot be used as a LoRA"):
        generator.generate(config((tmp_path / "bad.safetensors", 1.0)), tmp_path / "out.png").result()
    generator.generate(config(), tmp_path / "next.png").result()


def test_a_folder_that_cannot_be_written_is_told_plainly(generator, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DarkroomError, match="The picture could not be written"):
        generator.generate(config(), tmp_path / "file" / "out.png").result()


def test_a_long_prompt_is_drawn_with_a_notice(generator, tmp_path):
    replies = list(generator.generate(config(prompt="a cat on a blue background " * 6), tmp_path / "out.png"))
    assert any(r["kind"] == "notice" and "reads the first 22" in r["text"] for r in replies)
