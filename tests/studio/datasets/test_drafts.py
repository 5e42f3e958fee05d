"""Drafts of instructions: right where they are made, silent where the pictures do not tell, never over a person's words."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from studio.datasets.caption_job import CaptionJobs
from studio.datasets.captions import change_captions, set_caption
from studio.datasets.colours import name_colour
from studio.datasets.drafts import draft_from_captions, draft_from_pictures
from studio.datasets.ingest import ingest_folder
from studio.datasets.samples import SAMPLES
from tests.studio.datasets.drawing import blur, draw_photo, encode
from tests.studio.datasets.pairs import COLOURS, draw_scene, write_folders
from tests.studio.datasets.test_caption_job import Dictated


def night(image):
    channels = ImageEnhance.Brightness(image).enhance(0.3).split()
    tinted = [channel.point(lambda v, k=k: min(255, int(v * k + 8 * k))) for channel, k in zip(channels, (0.6, 0.7, 1.5), strict=True)]
    return Image.merge("RGB", tinted)


CHANGES = {
    "make it darker": lambda image: ImageEnhance.Brightness(image).enhance(0.5),
    "make it brighter": lambda image: image.point(lambda v: min(255, int(v * 1.5 + 20))),
    "make it black and white": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "mirror it": lambda image: ImageOps.mirror(image),
    "turn it upside down": lambda image: image.rotate(180),
    "invert the colours": lambda image: ImageOps.invert(image),
    "blur it": lambda image: blur(image, 0.02),
    "make it night": night,
}


@pytest.mark.parametrize("words", CHANGES)
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_change_of_the_whole_photo_is_said(words, seed):
    photo = draw_photo(seed)
    assert draft_from_pictures(photo, CHANGES[words](photo)) == words


def test_making_it_sharper_is_the_way_back_from_blur():
    photo = draw_photo(3)
    assert draft_from_pictures(blur(photo, 0.02), photo) == "make it sharper"


@pytest.mark.parametrize("colour", [c for c in COLOURS if c != "white"])
def test_another_background_is_said_with_its_colour(colour):
    assert draft_from_pictures(draw_scene(3, "white"), draw_scene(3, colour)) == f"make the background {colour}"


@pytest.mark.parametrize(("scale", "words"), [(1.6, "make it bigger"), (0.6, "make it smaller")])
def test_another_size_is_said(scale, words):
    base = draw_scene(2, size=(160, 160))
    thing = base.crop((30, 30, 130, 130))
    side = round(100 * scale)
    other = Image.new("RGB", (160, 160), COLOURS["white"])
    resized = thing.resize((side, side), Image.Resampling.LANCZOS)
    other.paste(resized, ((160 - side) // 2, (160 - side) // 2))
    assert draft_from_pictures(base, other) == words


def test_a_thing_painted_anew_and_a_thing_moved_are_said():
    assert draft_from_pictures(draw_scene(3, thing="gray"), draw_scene(3, thing=(214, 48, 49))) == "make it red"
    base = draw_scene(2)
    moved = Image.new("RGB", base.size, COLOURS["white"])
    moved.paste(base, (12, 0))
    assert draft_from_pictures(base, moved) == "move it to the right"


def test_two_different_photos_and_no_change_say_nothing():
    assert draft_from_pictures(draw_photo(1), draw_photo(2)) == ""
    assert draft_from_pictures(draw_photo(1), draw_photo(1)) == ""
    saved = Image.open(io.BytesIO(encode(draw_photo(1), "JPEG", quality=85))).convert("RGB")
    assert draft_from_pictures(draw_photo(1), saved) == ""


def test_on_the_sample_pairs_every_draft_from_the_pictures_is_right():
    root, said = SAMPLES / "edits", {"right": 0, "silent": 0, "wrong": []}
    rows = [json.loads(line) for line in (root / "metadata.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        draft = draft_from_pictures(*(Image.open(root / row[key]) for key in ("input_image", "output_image")))
        words = row["instruction"].split()
        wanted = f"make the background {words[-1]}" if "background" in words else row["instruction"]
        if not draft:
            said["silent"] += 1
        elif draft == wanted:
            said["right"] += 1
        else:
            said["wrong"].append((row["output_image"], row["instruction"], draft))
    assert said["wrong"] == [] and said["right"] >= 0.8 * len(rows)  # the rest turn one thing into another


@pytest.mark.parametrize(
    ("before", "after", "draft"),
    [
        ("an alien on a blue background", "a cat on a blue background", "turn the alien into a cat"),
        ("a photo of a red bus on a road", "a photo of an old truck on a road", "turn the red bus into an old truck"),
        ("a koala on a green background", "cheese on a green background", "turn the koala into cheese"),
        ("a cat on a red background", "a cat on a blue background", "make the background blue"),
        ("a cat on a red background", "a cat on a red background", ""),
        ("", "", ""),
    ],
)
def test_from_two_captions_the_change_is_said(before, after, draft):
    assert draft_from_captions(before, after) == draft


NAMED = {
    (255, 0, 0): "red", (0, 0, 255): "blue", (0, 128, 0): "green", (0, 255, 0): "green", (0, 0, 0): "black", (255, 255, 255): "white",
    (128, 128, 128): "grey", (255, 255, 0): "yellow", (255, 165, 0): "orange", (128, 0, 128): "purple", (255, 192, 203): "pink",
    (0, 0, 128): "dark blue", (135, 206, 235): "light blue", (165, 42, 42): "brown", (64, 64, 64): "dark grey",
}  # fmt: skip


@pytest.mark.parametrize(("rgb", "name"), NAMED.items())
def test_colours_have_the_names_that_people_give_them(rgb, name):
    assert name_colour(np.array(rgb)) == name


@pytest.fixture
def pairs(store, tmp_path):
    """Two pairs whose background turns blue, and one that only a captioner can tell."""
    root = write_folders(tmp_path / "set", 2)
    for folder, photo in (("input_images", draw_photo(1, 64)), ("output_images", draw_photo(2, 64))):
        (root / folder / "009.png").write_bytes(encode(photo))
    (root / "input_images" / "half.png").write_bytes(encode(draw_photo(3, 64)))
    made = store.create("Pairs", "pairs").id
    ingest_folder(store, made, root)
    return made


@pytest.fixture
def captioner():
    return Dictated()


def words(store, dataset):
    return [(p.text, p.text_by) for p in store.pictures(dataset) if not p.missing]


def test_drafts_come_from_the_pictures_and_where_they_do_not_tell_from_the_captioner(store, pairs, captioner):
    captioner.write(0, "an apple on a table")
    captioner.write(1, "a pear on a table")
    captioner.end()
    jobs = CaptionJobs(store.workspace, captioner)
    jobs.start(pairs, captioner="blip", trigger_word="never used")
    status = jobs.wait(pairs, 30)
    assert (status["state"], status["done"], status["total"], status["silent"]) == ("finished", 3, 3, 0)
    assert words(store, pairs) == [("make the background blue", "draft")] * 2 + [("turn the apple into a pear", "draft")]
    third = store.pictures(pairs)[2]
    assert captioner.files == [store.workspace.dataset(pairs) / image.file for image in third.images]


def test_a_draft_never_touches_what_a_person_or_a_file_said(store, pairs, captioner):
    ids = [p.id for p in store.pictures(pairs)]
    set_caption(store, pairs, ids[0], "mine", None)
    change_captions(store, pairs, {ids[1]: "from a file"}, by="file")
    captioner.end()
    jobs = CaptionJobs(store.workspace, captioner)
    jobs.start(pairs, captioner="none", overwrite_own=True)
    status = jobs.wait(pairs, 30)
    assert status["silent"] == 1 and words(store, pairs) == [("mine", "person"), ("from a file", "file"), ("", "")]
    assert captioner.files == []


def test_a_confirmed_draft_is_a_persons_word_and_stays(store, pairs, captioner):
    jobs = CaptionJobs(store.workspace, captioner)
    jobs.start(pairs, captioner="none")
    jobs.wait(pairs, 30)
    first = store.pictures(pairs)[0]
    set_caption(store, pairs, first.id, first.text, first.version)
    assert store.picture(pairs, first.id).text_by == "person"
    set_caption(store, pairs, store.pictures(pairs)[1].id, "", None)
    jobs.start(pairs, captioner="none", overwrite_own=True)
    jobs.wait(pairs, 30)
    assert words(store, pairs)[:2] == [("make the background blue", "person"), ("make the background blue", "draft")]


def test_a_picture_that_cannot_be_read_is_listed_and_stops_no_other(store, pairs, captioner):
    (store.workspace.dataset(pairs) / store.pictures(pairs)[0].after.file).write_bytes(b"gone")
    jobs = CaptionJobs(store.workspace, captioner)
    jobs.start(pairs, captioner="none")
    status = jobs.wait(pairs, 30)
    assert [f["name"] for f in status["failed"]] == ["000"] and words(store, pairs)[1] == ("make the background blue", "draft")
