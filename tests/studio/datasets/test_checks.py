"""Each rule finds the fault that was put in, names the picture, and is silent about good ones."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from backends.contract.errors import DarkroomError
from studio.datasets import captions
from studio.datasets.checks import check_dataset, compute_bucket_preview
from studio.datasets.measure import compute_sharpness, measure_picture
from studio.datasets.report import ignore_finding, is_current, read_report
from studio.datasets.samples import SAMPLES, create_sample_dataset
from studio.datasets.twins import find_twins
from tests.studio.datasets.drawing import blur, draw_figure, draw_photo, encode

GOOD = 12


@pytest.fixture
def fill(store, dataset, drop):
    """Fills the data set with twelve good pictures, after changing some of them by number (from 1)."""

    def fill_with(changes=None, texts=None, side=160):
        for n in range(1, GOOD + 1):
            picture = draw_photo(n, side) if n % 2 else draw_figure(n, side)
            picture = (changes or {}).get(n, picture)
            drop(f"{n:02d}.png", picture if isinstance(picture, bytes) else encode(picture))
        for n, picture in enumerate(store.pictures(dataset), 1):
            text = (texts or {}).get(n, f"zog in place number {n}")
            if text:
                captions.set_caption(store, dataset, picture.id, text, None)
        store.update(dataset, trigger_word="zog")
        return [p.id for p in store.pictures(dataset)]

    return fill_with


def check(store, dataset, **options):
    return check_dataset(store, dataset, base_model="pocket-sdxl", **options)


def find(report, code):
    return next((f for f in report.findings if f.code == code), None)


def test_good_drawings_and_photos_give_a_full_score_and_three_sentences(store, dataset, fill):
    fill()
    report = check(store, dataset)
    assert (report.score, report.findings, report.ready) == (100, [], True)
    assert report.sentences[0].startswith("Ready") and len(report.sentences) == 3
    assert len(report.fine) == 20 and sum(p.points for p in report.parts) == 100


@pytest.mark.parametrize("name", ["zog", "glorp"])
def test_the_sample_pictures_are_ready(store, name):
    report = check(store, create_sample_dataset(store, name).id)
    assert (report.score, report.findings) == (100, [])


def test_the_wrong_samples_are_found_wrong(store, dataset):
    from studio.datasets.ingest import ingest_folder

    ingest_folder(store, dataset, SAMPLES / "wrong")
    store.update(dataset, trigger_word="zog")
    assert check(store, dataset).num_pictures == 12


def test_the_report_on_disk_is_the_report_and_grows_old_with_the_data(store, dataset, fill):
    ids = fill({3: blur(draw_photo(3, 160))})
    report = check(store, dataset)
    assert read_report(store, dataset) == report and is_current(store, dataset, report)
    plain = json.loads((store.workspace.dataset(dataset) / "dataset_report.json").read_text("utf-8"))
    assert plain["score"] == report.score and plain["findings"][0]["key"] == report.findings[0].key and plain["ready"] is True
    captions.set_caption(store, dataset, ids[0], "zog moved", None)
    assert not is_current(store, dataset, report)


def test_a_report_of_a_darkroom_that_looked_otherwise_is_an_old_one(store, dataset, fill, monkeypatch):
    fill({3: draw_photo(3, 160)})
    report = check(store, dataset)
    assert is_current(store, dataset, report)
    monkeypatch.setattr("studio.datasets.report.MEASURED", report.measured + 1)
    assert not is_current(store, dataset, report)


@pytest.mark.parametrize("draw", [draw_figure, draw_photo])
@pytest.mark.parametrize("share", [0.008, 0.012, 0.02])
def test_a_blurred_picture_is_found_among_drawings_and_photos(store, dataset, fill, draw, share):
    ids = fill({4: blur(draw(4, 160), share)})
    found = find(check(store, dataset), "blurred")
    assert found.picture_ids == [ids[3]] and "04" in found.rule and found.action.kind == "remove"


def test_sharpness_parts_sharp_from_blurred_at_any_size():
    for side in (160, 400):
        for draw in (draw_figure, draw_photo):
            sharp = [measure_picture(draw(n, side)).sharpness for n in range(8)]
            soft = [measure_picture(blur(draw(n, side), 0.012)).sharpness for n in range(4)]
            assert min(sharp) > 0.2 > 0.12 > max(soft)


def test_a_flat_picture_does_not_count_as_blurred():
    assert compute_sharpness(np.full((4, 4), 9.0, np.float32)) == 1.0


def copies_of(image):
    def jpeg(quality):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return {
        "saved as JPEG": jpeg(60),
        "saved badly": jpeg(25),
        "half the size": image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
        "brighter": ImageEnhance.Brightness(image).enhance(1.1),
        "mirrored": image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "mirrored and saved": jpeg(70).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "one pixel cut": image.crop((1, 1, image.width, image.height)),
    }


@pytest.mark.parametrize("how", list(copies_of(Image.new("RGB", (8, 8)))))
@pytest.mark.parametrize("draw", [draw_figure, draw_photo])
def test_a_copy_is_found_however_it_was_made(store, dataset, fill, how, draw):
    ids = fill({5: draw(77, 160), 9: copies_of(draw(77, 160))[how]})
    found = find(check(store, dataset), "twin")
    assert found.picture_ids == [ids[4], ids[8]] and found.action.picture_ids == [ids[8]]
    assert ("mirror" in found.title) == ("mirror" in how)


def test_the_larger_twin_is_kept(store, dataset, fill):
    image = draw_photo(77, 320)
    ids = fill({2: image.resize((150, 150)), 7: image})
    found = find(check(store, dataset), "twin")
    assert found.action.picture_ids == [ids[1]] and "the largest" in found.way_out


def test_the_same_pixels_in_another_file_are_the_same_picture(store, dataset, fill):
    image = draw_figure(77, 160)
    ids = fill({1: encode(image, "BMP"), 2: encode(image, "PNG")})
    found = find(check(store, dataset), "twin")
    assert found.picture_ids == ids[:2] and "the same picture" in found.rule


def test_eighty_different_pictures_have_no_twins():
    measures = [measure_picture(draw(n, 96)) for n in range(40) for draw in (draw_figure, draw_photo)]
    assert find_twins(measures, [str(n) for n in range(80)]) == []


def test_a_crowd_of_twins_is_one_group():
    one, other = measure_picture(draw_photo(1, 96)), measure_picture(draw_figure(2, 96))
    (twins,) = find_twins([one, other] + [one] * 500, [str(n) for n in range(502)])
    assert len(twins.positions) == 501 and 1 not in twins.positions


def test_the_same_figure_on_another_background_is_no_twin():
    figure = Image.open(SAMPLES / "zog" / "zog_01.png").convert("RGB")
    pixels = np.asarray(figure).copy()
    pixels[(np.abs(pixels.astype(int) - pixels[2, 2]).sum(-1)) < 60] = (40, 160, 70)
    assert find_twins([measure_picture(figure), measure_picture(Image.fromarray(pixels))], ["a", "b"]) == []


def test_many_groups_of_twins_become_one_finding(store, dataset, drop):
    for n in range(8):
        drop(f"{n}.png", encode(draw_photo(n, 128)))
        drop(f"{n}.jpg", encode(draw_photo(n, 128), "JPEG", quality=80))
    found = [f for f in check(store, dataset).findings if f.code in ("twin", "alike")]
    assert [(f.code, len(f.picture_ids), len(f.action.picture_ids)) for f in found] == [("alike", 16, 8)]


def test_small_pictures_are_told_with_their_factor(store, dataset, fill):
    ids = fill({6: draw_photo(6, 50)})
    found = find(check(store, dataset), "small")
    assert found.picture_ids == [ids[5]] and "50 px" in found.rule and "2.6 times" in found.rule
    assert len(find(check_dataset(store, dataset, base_model="sdxl"), "small").picture_ids) == GOOD


def test_a_long_picture_is_told_with_what_it_loses(store, dataset, fill):
    ids = fill({6: draw_photo(6, 512).resize((1024, 200)).resize((1024, 160))})
    found = find(check(store, dataset), "long")
    assert found.picture_ids == [ids[5]] and "1,024 x 160 px" in found.rule and "%" in found.rule
    assert (found.action.kind, found.action.picture_ids) == ("crop", [ids[5]])


@pytest.mark.parametrize(("colour", "said"), [((3, 3, 3), "black"), ((200, 30, 30), "one colour"), ((255, 255, 255), "one colour")])
def test_black_and_empty_pictures_are_found(store, dataset, fill, colour, said):
    ids = fill({2: Image.new("RGB", (160, 160), colour)})
    found = find(check(store, dataset), "empty")
    assert found.picture_ids == [ids[1]] and said in found.title


def test_few_pictures_and_none(store, dataset, drop):
    empty = check(store, dataset)
    assert (empty.score, empty.ready, empty.sentences[0]) == (0, False, "There are no pictures yet.")
    drop("a.png", encode(draw_photo(1, 160)))
    one = check(store, dataset)
    assert one.ready and find(one, "few").action.kind == "add_pictures" and "9 or more" in find(one, "few").way_out


def test_backgrounds_that_are_all_alike_are_told(store, dataset, fill):
    def on_grey(n):
        image = Image.new("RGB", (160, 160), (120, 120, 120))
        image.paste(draw_photo(n, 100), (30, 30))
        return image

    fill({n: on_grey(n) for n in range(1, GOOD + 1)})
    assert find(check(store, dataset), "monotony") is not None


def test_a_picture_damaged_or_lost_since_is_found_and_stops(store, dataset, fill):
    ids = fill()
    path = store.path(dataset, ids[3])
    path.write_bytes(path.read_bytes()[:-400])
    store.path(dataset, ids[4]).unlink()
    report = check(store, dataset)
    found = report.findings[0]
    assert (found.code, found.severity, sorted(found.picture_ids)) == ("broken", "stop", sorted(ids[3:5]))
    assert not report.ready and report.sentences[0].startswith("Not ready yet")
    with pytest.raises(DarkroomError, match="cannot be ignored"):
        ignore_finding(store, dataset, found.key)


def test_a_picture_that_was_edited_outside_is_measured_anew(store, dataset, fill):
    ids = fill()
    store.path(dataset, ids[3]).write_bytes(encode(blur(draw_photo(3, 200))))
    report = check(store, dataset)
    assert find(report, "blurred").picture_ids == [ids[3]] and store.picture(dataset, ids[3]).width == 200
    assert is_current(store, dataset, report)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"dhash": 1}'])
def test_a_damaged_measure_is_taken_again(store, dataset, fill, damage):
    fill()
    for path in (store.workspace.cache / "measures").rglob("*.json"):
        path.write_bytes(damage)
    assert check(store, dataset).score == 100


def test_missing_captions_and_trigger_words_name_their_pictures(store, dataset, fill):
    ids = fill(texts={1: "", 2: "", 3: "a photo of something", 4: "zogging about"})
    report = check(store, dataset)
    bare, without = find(report, "no_caption"), find(report, "no_trigger_word")
    assert (bare.picture_ids, bare.action.kind) == (ids[:2], "caption")
    assert (without.picture_ids, without.action.kind, without.action.label) == (ids[2:4], "add_trigger", "Add “zog”")
    captions.set_trigger_word(store, dataset, "zog", "start", without.action.picture_ids)
    assert find(check(store, dataset), "no_trigger_word") is None


def test_a_caption_longer_than_the_model_reads_is_told_in_tokens(store, dataset, fill):
    ids = fill(texts={5: "zog " + "on a red wall " * 8})
    found = find(check(store, dataset), "caption_too_long")
    assert found.picture_ids == [ids[4]] and "41 tokens; the base model reads 22" in found.rule
    assert find(check_dataset(store, dataset, base_model="sdxl"), "caption_too_long") is None


def test_one_caption_for_all_is_told(store, dataset, fill):
    fill(texts={n: "zog" for n in range(1, 9)})
    assert find(check(store, dataset), "caption_identical").title == "Eight pictures have the same caption"


def test_words_that_stand_everywhere_are_told(store, dataset, fill):
    fill(texts={n: f"zog masterpiece sharp lens number{n}" for n in range(1, GOOD + 1)})
    found = find(check(store, dataset), "words_everywhere")
    assert "“lens”, “masterpiece”, “sharp”" in found.rule and "zog" not in found.rule


def test_a_missing_trigger_word_is_only_a_hint(store, dataset, fill):
    fill()
    store.update(dataset, trigger_word="")
    found = find(check(store, dataset), "trigger_word_unset")
    assert (found.severity, found.points, found.action.kind) == ("hint", 3.0, "open_captions")


def test_what_helps_most_comes_first_and_the_score_rises_as_promised(store, dataset, fill):
    fill({3: blur(draw_photo(3, 160))}, texts={n: "" for n in range(1, 9)})
    report = check(store, dataset)
    points = [f.points for f in report.findings]
    assert points == sorted(points, reverse=True) and report.findings[0].code == "no_caption"
    for picture in store.pictures(dataset):
        if not picture.text:
            captions.set_caption(store, dataset, picture.id, f"zog at {picture.name}", None)
    assert f"you reach {check(store, dataset).score} %." in report.sentences[2]


def test_an_ignored_finding_stays_away_until_its_pictures_change(store, dataset, fill):
    ids = fill({3: blur(draw_photo(3, 160))})
    first = check(store, dataset)
    ignore_finding(store, dataset, first.findings[0].key)
    second = check(store, dataset)
    assert (second.findings, [f.code for f in second.ignored], second.score) == ([], ["blurred"], 100)
    store.path(dataset, ids[5]).write_bytes(encode(blur(draw_figure(6, 160))))
    assert find(check(store, dataset), "blurred").picture_ids == [ids[2], ids[5]]
    store.path(dataset, ids[5]).write_bytes(encode(draw_figure(6, 160)))
    check(store, dataset)
    ignore_finding(store, dataset, first.findings[0].key, ignored=False)
    assert find(check(store, dataset), "blurred").picture_ids == [ids[2]]


def test_an_unknown_finding_cannot_be_ignored(store, dataset, fill):
    fill()
    check(store, dataset)
    with pytest.raises(DarkroomError, match="no longer in the report"):
        ignore_finding(store, dataset, "blurred-000000000000")


def test_the_bucket_preview_places_every_picture_once(store, dataset, fill):
    ids = fill({2: draw_photo(2, 256).resize((256, 160)), 3: draw_photo(3, 256).resize((160, 256))})
    report = check(store, dataset)
    cuts = [c for b in report.buckets for c in b.cuts]
    assert sorted(c.picture_id for c in cuts) == sorted(ids)
    assert len(report.buckets) == 3 and report.buckets[0].width == report.buckets[0].height == 128
    for bucket in report.buckets:
        assert bucket.width % 32 == bucket.height % 32 == 0
        assert all(c.left + bucket.width <= c.scaled_width and c.top + bucket.height <= c.scaled_height for c in bucket.cuts)
    assert compute_bucket_preview(store, dataset, "pocket-sdxl") == report.buckets


@pytest.mark.parametrize("resolution", [100, 16, 5000])
def test_a_resolution_that_does_not_fit_names_the_nearest(store, dataset, fill, resolution):
    with pytest.raises(DarkroomError, match="multiple of 32 .* Nearest"):
        check(store, dataset, resolution=resolution)


def test_the_check_tells_how_far_it_is_and_can_be_broken_off(store, dataset, fill):
    fill()
    told = []
    check(store, dataset, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, GOOD) for n in range(1, GOOD + 1)]

    def stop(done, _total):
        if done == 3:
            raise DarkroomError("It was stopped.")

    before = read_report(store, dataset)
    with pytest.raises(DarkroomError, match="stopped"):
        check(store, dataset, progress=stop)
    assert read_report(store, dataset) == before


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"score": 1}'])
def test_a_report_that_cannot_be_read_counts_as_none(store, dataset, text):
    (store.workspace.dataset(dataset) / "dataset_report.json").write_text(text)
    assert read_report(store, dataset) is None


def test_a_report_cannot_be_changed_by_accident(store, dataset, fill):
    fill()
    with pytest.raises(dataclasses.FrozenInstanceError):
        check(store, dataset).score = 1
