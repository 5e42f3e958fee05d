"""The check of edit pairs: each rule finds what was put in, names the pairs, and is silent about good ones."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from studio.datasets import captions
from studio.datasets.checks import check_dataset, compute_bucket_preview
from studio.datasets.ingest import ingest_files
from studio.datasets.report import is_current
from studio.datasets.samples import create_sample_dataset
from tests.studio.datasets.drawing import draw_photo, encode
from tests.studio.datasets.pairs import draw_scene

GOOD = 52
WORDS = ("make it blue", "turn the background blue", "a blue background, please")


@pytest.fixture
def fill(store, tmp_path):
    """A data set of good pairs after changing some by number (from 1); ids of the pairs in order."""

    def fill_with(changes=None, texts=None, count=GOOD):
        made = store.create("Pairs", "pairs").id
        named = []
        for n in range(1, count + 1):
            photo = draw_photo(n, 128)
            pair = (photo, ImageEnhance.Brightness(photo).enhance(0.4 + 0.1 * (n % 4)))
            for side, picture in zip(("before", "after"), (changes or {}).get(n, pair), strict=True):
                if picture is not None:
                    path = tmp_path / f"{side}-{n}"
                    path.write_bytes(encode(picture))
                    named.append((f"{side}/{n:02d}.png", path))
        assert all(o.accepted for o in ingest_files(store, made, named))
        rows = {p.name: p.id for p in store.pictures(made)}
        said = {rows[f"{n:02d}"]: (texts or {}).get(n, WORDS[n % 3]) for n in range(1, count + 1) if f"{n:02d}" in rows}
        captions.change_captions(store, made, said, by="person")
        return made, [rows[f"{n:02d}"] for n in range(1, count + 1)]

    return fill_with


def check(store, dataset):
    return check_dataset(store, dataset, base_model="pocket-sdxl")


def find(report, code):
    return next((f for f in report.findings if f.code == code), None)


def test_good_pairs_give_a_full_score_and_three_sentences(store, fill):
    made, ids = fill()
    report = check(store, made)
    assert (report.score, report.findings, report.ready) == (100, [], True)
    assert [p.name for p in report.parts] == ["Pairs", "Picture quality", "Instructions"] and len(report.fine) == 17
    assert "3 different instructions" in report.sentences[1]
    assert sum(b.count for b in report.buckets) == len(ids) and {c.picture_id for b in report.buckets for c in b.cuts} <= set(ids)
    assert compute_bucket_preview(store, made, "pocket-sdxl") == report.buckets


def test_the_sample_pairs_are_ready(store):
    report = check(store, create_sample_dataset(store, "edits").id)
    assert (report.score, report.findings) == (100, [])


def test_halves_stop_and_are_named(store, fill):
    made, ids = fill({3: (draw_photo(3, 128), None), 7: (None, draw_photo(7, 128)), 9: (None, draw_photo(9, 128))})
    report = check(store, made)
    found = report.findings[0]
    assert (found.code, found.severity, set(found.picture_ids)) == ("incomplete", "stop", {ids[2], ids[6], ids[8]})
    assert "2 without the picture before and 1 without the picture after" in found.rule
    assert found.action.kind == "remove" and not report.ready and "Dataset page" in found.way_out
    store.remove(made, found.action.picture_ids)
    assert check(store, made).ready


def test_pictures_of_two_sizes_after_a_change_outside_stop(store, fill):
    made, ids = fill()
    row = store.picture(made, ids[4])
    (store.workspace.dataset(made) / row.after.file).write_bytes(encode(draw_photo(5, 160)))
    found = check(store, made).findings[0]
    assert (found.code, found.severity, found.picture_ids) == ("uneven", "stop", [ids[4]])
    assert "128 x 128 px before and 160 x 160 px after" in found.rule
    assert store.picture(made, ids[4]).after.width == 160


@pytest.mark.parametrize("damage", ["gone", "torn"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_side_that_is_gone_or_damaged_stops(store, fill, side, damage):
    made, ids = fill()
    path = store.workspace.dataset(made) / getattr(store.picture(made, ids[1]), side).file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-300])
    found = check(store, made).findings[0]
    assert (found.code, found.severity, found.picture_ids) == ("broken", "stop", [ids[1]])


SAME = {"the same picture": lambda image: image, "saved again": lambda image: _save_again(image)}


@pytest.mark.parametrize("how", SAME)
def test_a_pair_that_shows_no_change_is_found(store, fill, how):
    photo = draw_photo(90, 128)
    made, ids = fill({5: (photo, SAME[how](photo))})
    found = find(check(store, made), "unchanged")
    assert found.picture_ids == [ids[4]] and found.action.kind == "remove"


CHANGED = {
    "a hat": lambda image: _with_spot(image),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "a little darker": lambda image: ImageEnhance.Brightness(image).enhance(0.93),
}


def _save_again(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return Image.open(buffer).convert("RGB")


def _with_spot(image):
    out = image.copy()
    out.paste((250, 30, 30), (10, 10, 28, 28))
    return out


@pytest.mark.parametrize("how", CHANGED)
def test_a_small_change_is_a_change(store, fill, how):
    photo = draw_photo(90, 128)
    made, _ = fill({5: (photo, CHANGED[how](photo))})
    assert find(check(store, made), "unchanged") is None


def test_doubles_are_pairs_alike_on_both_sides_only(store, fill):
    photo = draw_photo(90, 128)
    darker, flipped = ImageEnhance.Brightness(photo).enhance(0.5), photo.rotate(90)
    small = photo.resize((126, 126)).resize((128, 128))
    made, ids = fill({2: (photo, darker), 6: (small, ImageEnhance.Brightness(small).enhance(0.5)), 8: (photo.copy(), flipped)})
    found = find(check(store, made), "double")
    assert found.picture_ids == [ids[1], ids[5]] and found.action.picture_ids == [ids[5]]


def test_few_pairs_and_none(store, fill):
    empty = check(store, store.create("Empty", "pairs").id)
    assert (empty.score, empty.ready, empty.sentences[0]) == (0, False, "There are no pairs yet.")
    made, _ = fill(count=12)
    found = find(check(store, made), "few")
    assert found.severity == "warn" and "38 or more" in found.way_out and found.action.kind == "add_pictures"


def test_missing_instructions_and_drafts_are_told_apart(store, fill):
    made, ids = fill(texts={1: "", 2: ""})
    captions.set_caption(store, made, ids[4], "", None)
    captions.set_caption(store, made, ids[4], "make it darker", None, by="draft")
    report = check(store, made)
    bare, drafts = find(report, "no_instruction"), find(report, "drafts")
    assert (bare.picture_ids, bare.action.kind, bare.action.label) == (ids[:2], "caption", "Draft 2 instructions")
    assert (drafts.picture_ids, drafts.severity, drafts.action.kind) == ([ids[4]], "hint", "open_captions")
    captions.set_caption(store, made, ids[4], "make it darker", None)
    assert not is_current(store, made, report) and find(check(store, made), "drafts") is None


def test_an_instruction_longer_than_the_model_reads_is_told_in_tokens(store, fill):
    made, ids = fill(texts={5: "make the background blue " * 8})
    found = find(check(store, made), "caption_too_long")
    assert found.picture_ids == [ids[4]] and "instruction is too long" in found.title and "the base model reads 22" in found.rule


def test_one_instruction_everywhere_is_a_hint(store, fill):
    made, _ = fill(texts={n: "make it night" for n in range(1, GOOD + 1)})
    found = find(check(store, made), "one_instruction")
    assert (found.severity, found.points) == ("hint", 2.0) and "make it night" in found.rule


def test_no_rule_about_trigger_words_or_single_pictures_speaks_of_pairs(store, fill):
    made, _ = fill({2: (draw_scene(2, size=(128, 128)), draw_scene(2, "blue", size=(128, 128)))})
    report = check(store, made)
    assert not {f.code for f in report.findings} & {
        "trigger_word_unset",
        "no_trigger_word",
        "twin",
        "alike",
        "monotony",
        "caption_identical",
    }
    told = json.loads((store.workspace.dataset(made) / "dataset_report.json").read_text("utf-8"))
    assert "picture has no caption" not in json.dumps(told)


def test_small_pictures_are_told_as_pairs(store, fill):
    made, ids = fill({6: (draw_photo(6, 50), ImageEnhance.Brightness(draw_photo(6, 50)).enhance(0.5))})
    found = find(check(store, made), "small")
    assert found.picture_ids == [ids[5]] and found.title == "One pair is small"
