"""Every kind of captioner, with random weights of its real architecture, through the real worker."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer, BlipForImageTextRetrieval, Florence2Processor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from backends.captioners.florence2 import QUESTIONS, Florence2
from backends.captioners.load import load_captioner, load_scorer
from backends.captioners.worker import read_picture
from backends.contract.captioning import CAPTIONERS, SCORERS, Wording
from backends.contract.errors import DarkroomError
from backends.contract.wire import Cancelled
from studio.workers.captioner import Captioner, caption_replies
from studio.workspace import open_workspace
from tests.backends.captioners import tiny
from tests.learning import SAMPLES

KINDS = {
    "blip": tiny.make_blip,
    "blip-2": tiny.make_blip2,
    "florence2": tiny.make_florence2,
    "qwen2_vl": tiny.make_qwen2,
    "qwen2_5_vl": tiny.make_qwen25,
    "qwen3_vl": tiny.make_qwen3,
}
FILES = sorted((SAMPLES / "zog").glob("*.png"))[:3]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: str(make(root / kind)) for kind, make in KINDS.items()}


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    with Captioner(open_workspace(tmp_path_factory.mktemp("workspace"))) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_captions_every_picture_the_same_each_time(captioner, folders, kind):
    wording = Wording(max_new_tokens=12)
    first = list(captioner.caption(folders[kind], FILES, wording))
    assert [(r.index, r.error) for r in first] == [(0, ""), (1, ""), (2, "")]
    assert any(r.text for r in first)
    assert first == list(captioner.caption(folders[kind], FILES, wording))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_offers_several_candidates_and_draws_the_same_for_the_same_seed(captioner, folders, kind):
    beams = list(captioner.caption(folders[kind], FILES[:1], Wording(num_beams=2, candidates=3, max_new_tokens=8)))
    assert len(set(beams[0].candidates)) >= 2 and beams[0].text == beams[0].candidates[0]
    drawn = Wording(search="nucleus", candidates=3, max_new_tokens=8, seed=5)
    (last,) = captioner.caption(folders[kind], [FILES[1]], drawn)
    both = list(captioner.caption(folders[kind], FILES[:2], drawn))
    assert last.candidates == both[1].candidates, "what is drawn hangs on which pictures came before"
    other = Wording(search="nucleus", candidates=3, max_new_tokens=8, seed=6)
    assert both[1].candidates != next(captioner.caption(folders[kind], [FILES[1]], other)).candidates


@pytest.mark.slow
def test_a_caption_is_no_longer_than_asked_for(captioner, folders):
    lengths = [len(next(captioner.caption(folders["blip"], FILES[:1], Wording(max_new_tokens=n))).text.split()) for n in (5, 10, 20)]
    assert lengths[0] <= 5 and lengths[1] <= 10 and lengths[2] <= 20 and lengths[0] < lengths[2]


@pytest.mark.slow
def test_what_is_loaded_is_told_before_the_first_caption(captioner, folders):
    told = []
    list(caption_replies(captioner.request(folders["qwen2_5_vl"], FILES[:1], Wording(max_new_tokens=5)), told.append))
    assert told and all(text.startswith("Loading") for text in told)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_hangs_on_the_picture(folders, kind):
    """The likelihoods of the first word: the same for the same picture, others for another."""
    loaded, first = load_captioner(folders[kind]), []
    generate = loaded._model.generate

    def listen(**values):
        said = generate(**values, output_scores=True, return_dict_in_generate=True)
        first.append(said.scores[0])
        return said.sequences

    loaded._model.generate = listen
    for file in (FILES[0], FILES[0], FILES[1]):
        loaded.caption(read_picture(file), Wording(max_new_tokens=5))
    assert torch.equal(first[0], first[1])
    assert (first[0] - first[2])[torch.isfinite(first[0])].abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_left_in_the_middle_of_a_caption(folders, kind):
    loaded, calls = load_captioner(folders[kind]), []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled

    loaded.check = check
    with pytest.raises(Cancelled):
        loaded.caption(read_picture(FILES[0]), Wording(max_new_tokens=40, search="nucleus"))
    assert len(calls) == 3
    loaded.check = lambda: None
    assert loaded.caption(read_picture(FILES[0]), Wording(max_new_tokens=5))


def test_florence_is_asked_as_its_own_processor_asks(folders):
    folder = folders["florence2"]
    loaded = Florence2(folder)
    asked = {}
    loaded._model.generate = lambda **values: asked.update(values) or values["input_ids"]
    loaded.caption(read_picture(FILES[0]), Wording(max_new_tokens=60))
    looks = CLIPImageProcessorPil.from_pretrained(folder)
    looks.image_seq_length = loaded._places
    theirs = Florence2Processor(looks, AutoTokenizer.from_pretrained(folder))
    text = theirs._construct_prompts("<DETAILED_CAPTION>")
    assert text == [QUESTIONS[1][1]]
    values = theirs(images=read_picture(FILES[0]), text="<DETAILED_CAPTION>", return_tensors="pt")
    assert torch.equal(values["pixel_values"], asked["pixel_values"])
    assert values["input_ids"].tolist() == asked["input_ids"].tolist()


def test_matching_gives_the_probability_of_the_models_own_head(tmp_path):
    folder = tiny.make_matching(tmp_path / "itm")
    picture, text = read_picture(FILES[0]), "a cat on a red background"
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    pixels = BlipImageProcessorPil.from_pretrained(folder)(images=[picture], return_tensors="pt")["pixel_values"]
    tokens = AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.no_grad():
        theirs = model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, pixel_values=pixels).itm_score
    assert load_scorer(str(folder)).score(picture, text) == pytest.approx(float(theirs.softmax(-1)[0, 1]), abs=1e-5)


@pytest.mark.parametrize("form", ["{}", "a photo of {}", "{}, film grain", "strictly speaking {}"])
def test_the_pocket_captioner_tells_true_captions_from_swapped_ones(form):
    """The only trained weights that are here: of the twelve samples, each with its own words and with those of another background.

    Words that it never learnt stand around them: they must not decide.
    """
    files = sorted((SAMPLES / "zog").glob("*.png"))
    texts = [f.with_suffix(".txt").read_text("utf-8").strip() for f in files]
    scorer, pictures = load_scorer("pocket-blip"), [read_picture(f) for f in files]
    scorer.compare_with(pictures[:8])
    ground = [text.rsplit(" on ", 1)[-1] for text in texts]
    swapped = [next(t for t, g in zip(texts[n:] + texts[:n], ground[n:] + ground[:n], strict=True) if g != ground[n]) for n in range(12)]
    true = [scorer.score(p, form.format(t)) for p, t in zip(pictures, texts, strict=True)]
    false = [scorer.score(p, form.format(t)) for p, t in zip(pictures, swapped, strict=True)]
    assert all(0 <= s <= 1 for s in (*true, *false))
    assert sum(t > f for t, f in zip(true, false, strict=True)) == 12, (true, false)
    assert sum(t >= 0.5 for t in true) == 12 and sum(f < 0.5 for f in false) >= 10, (true, false)


def test_words_that_the_captioner_knows_none_of_tell_nothing():
    scorer = load_scorer("pocket-blip")
    scorer.compare_with([read_picture(f) for f in FILES])
    assert scorer.score(read_picture(FILES[0]), "qwxz") == pytest.approx(0.5, abs=0.15)


def test_a_picture_alone_is_scored_beside_plain_grey_and_not_beside_itself():
    scorer, picture = load_scorer("pocket-blip"), read_picture(FILES[0])
    scorer.compare_with([picture])
    own, other = (scorer.score(picture, text) for text in ("a robot on a purple background", "a robot on a green background"))
    assert own > 0.9 and other < 0.7, (own, other)


@pytest.mark.parametrize("name", [k for k, m in CAPTIONERS.items() if m.size_gb and ":" not in k])
def test_a_captioner_that_is_not_here_is_told_with_the_size_of_its_download(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DarkroomError, match="is not on this machine and downloads are switched off") as caught:
        load_captioner(name, offline=True)
    assert f"a download of {CAPTIONERS[name].size_gb:g} GB" in caught.value.text


@pytest.mark.parametrize("name", [k for k, m in SCORERS.items() if m.size_gb and ":" not in k])
def test_a_scorer_that_is_not_here_is_told_with_the_size_of_its_download(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DarkroomError, match=f"a download of {SCORERS[name].size_gb:g} GB"):
        load_scorer(name, offline=True)


def test_files_that_are_torn_are_told_and_not_thrown(tmp_path):
    folder = tiny.make_blip(tmp_path / "blip")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(DarkroomError, match="cannot be read.*may be incomplete"):
        load_captioner(str(folder))
