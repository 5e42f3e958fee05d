"""The captioner's wording, wordings to choose from and scores, in a real browser with the bundled captioner."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from studio.datasets.caption_notes import Score, note_choices, note_score
from studio.datasets.captions import set_caption
from studio.datasets.samples import create_sample_dataset
from studio.datasets.store import DatasetStore
from tests.browser.captions_page import open_captions, wait_for_text

pytestmark = pytest.mark.slow


@pytest.fixture
def zog(server):
    store = DatasetStore(server.workspace)
    info = create_sample_dataset(store, "zog")
    yield store, info.id
    store.delete(info.id)


def test_a_wording_is_chosen_with_a_key_and_with_a_click_and_is_saved_as_a_persons(page, server, zog):
    store, dataset = zog
    first = store.pictures(dataset)[0]
    with store.index(dataset).change() as rows:
        note_choices(rows, first.id, [first.text, "zog waves", "zog in the rain"])
    box = open_captions(page, server, zog[1])
    group = page.get_by_role("group", name="Other wordings")
    group.wait_for()
    assert group.get_by_role("button", pressed=True).inner_text().endswith(first.text)
    box.press("Alt+3")
    expect(box).to_have_value("zog in the rain")
    wait_for_text(page, zog, 0, "zog in the rain")
    group.get_by_role("button", name=re.compile("zog waves")).click()
    wait_for_text(page, zog, 0, "zog waves")
    assert store.pictures(dataset)[0].text_by == "person"
    box.press("Alt+ArrowRight")
    page.get_by_label("Picture 02", exact=True).wait_for()
    group.wait_for(state="hidden")


def test_candidates_come_from_the_captioner_in_the_wording_that_was_asked_for(page, server, zog):
    store, dataset = zog
    set_caption(store, dataset, store.pictures(dataset)[0].id, "", None)
    store.update(dataset, trigger_word="")  # in the subject's place it would make candidates alike that differ in the subject alone
    open_captions(page, server, zog[1])
    page.get_by_role("button", name=re.compile("^Wording")).click()
    page.get_by_label("Beams").fill("5")
    page.get_by_label("Candidates").fill("4")
    page.get_by_label("Before each").fill("a photo of")
    page.get_by_role("button", name=re.compile("5 beams, 4 candidates, up to 40 tokens")).wait_for()
    page.locator("#cap-go").click()
    group = page.get_by_role("group", name="Other wordings")
    group.wait_for(timeout=180_000)
    texts = group.get_by_role("button").all_inner_texts()
    assert len(texts) >= 2 and all("a photo of" in t for t in texts)
    assert store.pictures(dataset)[0].text.startswith("a photo of a")


def test_a_wording_out_of_range_is_told_at_its_field_and_nothing_starts(page, server, zog):
    store, dataset = zog
    set_caption(store, dataset, store.pictures(dataset)[0].id, "", None)
    open_captions(page, server, zog[1])
    page.get_by_role("button", name=re.compile("^Wording")).click()
    page.get_by_label("Longest").fill("9000")
    page.get_by_role("button", name=re.compile("^Wording")).click()
    page.locator("#cap-go").click()
    fault = page.locator("#wording-panel .d-err:visible")
    fault.wait_for()
    assert "must be from 5 to 500" in fault.inner_text() and page.get_by_label("Longest").get_attribute("aria-invalid") == "true"
    assert store.pictures(dataset)[0].text == ""


def test_the_wording_is_kept_for_the_next_visit(page, server, zog):
    open_captions(page, server, zog[1])
    page.get_by_role("button", name=re.compile("^Wording")).click()
    page.get_by_role("button", name="Drawn words").click()
    page.get_by_label("After each").fill(", film grain")
    page.reload()
    page.wait_for_selector("#notebook[data-state=ready]")
    page.get_by_role("button", name=re.compile("Wording drawn")).click()
    assert page.get_by_label("After each").input_value() == ", film grain" and page.get_by_label("Drawn among").is_visible()
    assert page.get_by_label("Beams").is_hidden()


def test_captions_that_were_exchanged_are_found_and_shown(page, server, zog):
    store, dataset = zog
    one, other = store.pictures(dataset)[:2]
    set_caption(store, dataset, one.id, other.text, None)
    set_caption(store, dataset, other.id, one.text, None)
    open_captions(page, server, zog[1])
    page.get_by_role("button", name=re.compile("Do they fit")).click()
    page.get_by_role("button", name="Score the captions").click()
    show = page.get_by_role("button", name="Show the 2 doubtful")
    show.wait_for(timeout=180_000)
    expect(page.locator("#notebook .fit")).to_be_visible()
    expect(page.locator("#notebook .fit")).to_contain_text(re.compile("fit", re.I))
    show.click()
    page.get_by_role("heading", name="2 of 12 pictures").wait_for()
    page.get_by_role("button", name="Score the captions").click()
    page.get_by_text("Every caption that there is has its score").wait_for()


def test_a_score_of_words_that_are_being_changed_is_not_shown(page, server, zog):
    store, dataset = zog
    first = store.pictures(dataset)[0]
    with store.index(dataset).change() as rows:
        note_score(rows, first.id, first.text, Score(0.93, "pocket-blip"))
    box = open_captions(page, server, zog[1])
    fit = page.locator("#notebook .fit")
    expect(fit).to_contain_text(re.compile("Fits well.*0.93"))
    expect(fit).to_be_visible()
    box.fill("something else")
    fit.wait_for(state="hidden")
