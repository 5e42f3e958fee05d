"""BLIP on the sample pictures, and what happens where there is no such model."""

from __future__ import annotations

import pytest
from PIL import Image

from backends.captioners.load import load_captioner
from backends.captioners.worker import read_picture
from backends.contract.captioning import Wording
from backends.contract.errors import DarkroomError
from studio.workers.captioner import Captioner
from studio.workspace import open_workspace
from tests.learning import SAMPLES

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "gray", "grey", "teal", "brown")


@pytest.fixture(scope="module")
def blip():
    return load_captioner("pocket-blip")


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    with Captioner(open_workspace(tmp_path_factory.mktemp("workspace"))) as made:
        yield made


def test_every_sample_picture_gets_a_caption_that_names_its_background(blip):
    files = sorted((SAMPLES / "zog").glob("*.png"))
    own = [f.with_suffix(".txt").read_text("utf-8") for f in files]
    captions = [blip.caption(read_picture(f), Wording())[0] for f in files]
    assert len(captions) == len(files) == 12
    named = [next((c for c in COLOURS if f"{c} background" in text), None) for text in own]
    right = [f"{colour} background" in caption for colour, caption in zip(named, captions, strict=True) if colour]
    assert len(right) >= 6 and sum(right) >= len(right) - 1, list(zip(own, captions, strict=True))


def test_the_same_picture_gets_the_same_words_and_every_search_finds_some(blip):
    pictures = [read_picture(f) for f in sorted((SAMPLES / "zog").glob("*.png"))[:4]]
    first = [blip.caption(p, Wording()) for p in pictures]
    assert first == [blip.caption(p, Wording()) for p in pictures]
    assert all(len(blip.caption(p, Wording(num_beams=3, candidates=3))) == 3 for p in pictures)


@pytest.mark.parametrize("name", ["nobody/never-published", "Salesforce/blip-image-captioning-base"])
def test_a_captioner_that_is_not_here_says_so_and_offers_the_bundled_one(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DarkroomError, match="is not on this machine.*pocket-blip came with the studio") as caught:
        load_captioner(name, offline=True)
    assert caught.value.field == "captioner"


@pytest.mark.parametrize("name", ["blip", "../../etc/passwd", "a/b/c", "", "/no/such/folder", "own er/name"])
def test_a_name_that_leads_nowhere_is_refused(name):
    with pytest.raises(DarkroomError, match="No captioner is called|has no config.json"):
        load_captioner(name)


def test_a_folder_with_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(DarkroomError, match="kind “clip”; a captioner is of the kind blip, blip-2, florence2"):
        load_captioner(str(tmp_path))


def test_transparent_turned_and_grey_pictures_are_read_as_a_person_sees_them(tmp_path):
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png").getpixel((5, 5)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (20, 10), 90).save(tmp_path / "turned.jpg", exif=exif)
    turned = read_picture(tmp_path / "turned.jpg")
    assert turned.size == (10, 20) and turned.mode == "RGB"


@pytest.mark.slow
def test_a_broken_picture_gets_its_reason_and_the_rest_goes_on(captioner, tmp_path):
    good = sorted((SAMPLES / "zog").glob("*.png"))
    (tmp_path / "broken.png").write_bytes(good[0].read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("<script>")
    files = [good[0], tmp_path / "broken.png", tmp_path / "missing.png", tmp_path / "text.jpg", good[1]]
    replies = list(captioner.caption("pocket-blip", files))
    assert [r.index for r in replies] == [0, 1, 2, 3, 4]
    assert [bool(r.text) for r in replies] == [True, False, False, False, True]
    assert all(r.error.startswith(f"“{f.name}”") and str(tmp_path) not in r.error for r, f in zip(replies[1:4], files[1:4], strict=True))


@pytest.mark.slow
def test_leaving_in_the_middle_stops_the_rest_and_the_next_job_works(captioner):
    good = sorted((SAMPLES / "zog").glob("*.png"))
    for reply in captioner.caption("pocket-blip", good * 200):
        assert reply.text
        break
    assert len(list(captioner.caption("pocket-blip", good[:2]))) == 2


@pytest.mark.slow
def test_a_missing_captioner_fails_the_job_but_not_the_worker(captioner):
    good = sorted((SAMPLES / "zog").glob("*.png"))[:1]
    with pytest.raises(DarkroomError, match="No captioner is called"):
        list(captioner.caption("no such one", good))
    assert list(captioner.caption("pocket-blip", good))[0].text
